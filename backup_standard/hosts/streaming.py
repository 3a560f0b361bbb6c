"""A long command whose output is heard line by line while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import paramiko

from backup_standard.errors import ConnectionFailed
from backup_standard.hosts.ssh import Output, SshClient, closed_after, drain

LONGEST_LINE = 1 << 20
"""Bytes without a line's end after which the far end is not believed."""
SAID = 16 << 10
"""Bytes of the error output that are kept, its end."""


def run_lines(client: SshClient, command: str, hear: Callable[[str], None], *, silence: float) -> Output:
    """Run a command line; ``hear`` gets each line of its output, and may raise to end it.

    ``silence``: seconds without any output after which it counts as lost. ConnectionFailed when it is lost. The
    output's ``stdout`` is the last line.
    """
    channel = client.open(command)
    said = bytearray()
    with closed_after(channel):
        try:
            channel.settimeout(silence)
            channel.shutdown_write()
            errors = threading.Thread(target=drain, args=(channel, said, SAID), daemon=True)
            errors.start()
            last = b""
            for line in _lines(channel):
                last = line
                hear(line.decode("utf-8", "replace"))
            errors.join(silence)
            status = _status(channel, silence)
        except TimeoutError:
            raise ConnectionFailed(f"no sign of life within {silence:g} s", where=client.where) from None
        except (paramiko.SSHException, OSError, EOFError) as problem:
            raise ConnectionFailed(f"the connection was lost: {problem}", where=client.where) from None
    return Output(status, last, bytes(said))


def _status(channel: paramiko.Channel, silence: float) -> int:
    if not channel.status_event.wait(silence):
        raise TimeoutError
    status = channel.recv_exit_status()
    if status < 0:
        raise EOFError("it ended without an exit status: it was killed, or the connection cut")
    return status


def _lines(channel: paramiko.Channel) -> Iterator[bytes]:
    rest = b""
    while chunk := channel.recv(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > LONGEST_LINE:
            raise EOFError("it answers with a line without end")
    if rest:
        yield rest
