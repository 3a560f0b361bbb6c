"""The node as the control plane sees it: files, commands and the clock, over the courier."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.hypervisor import CommandResult, FileStat, FilesystemUsage
from lab.settings import NODE
from lab.vm.courier import Courier

JOURNAL_IMPORT = ("/lib/systemd/systemd-journal-remote", "-o")
MACHINE_ID = f"{1:032x}"
IMPORTED = f"/var/log/journal/{MACHINE_ID}/earlier.journal"
OCTAL = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


@dataclass(frozen=True)
class DatedLine:
    """A journal line of the past: ``when`` in seconds since the epoch."""

    when: float
    identifier: str
    message: str
    priority: int = 6
    pid: int = 1000


def export_format(lines: Iterable[DatedLine], boot_id: str) -> bytes:
    """Return lines in the journal's export format (systemd: JOURNAL_EXPORT_FORMATS)."""
    out = bytearray()
    for number, line in enumerate(sorted(lines, key=lambda line: line.when)):
        micro = int(line.when * 1_000_000) + number % 1000
        fields = {
            "__REALTIME_TIMESTAMP": str(micro),
            "__MONOTONIC_TIMESTAMP": str(1_000_000 + number),
            "_BOOT_ID": boot_id,
            "_MACHINE_ID": MACHINE_ID,
            "_HOSTNAME": NODE,
            "_TRANSPORT": "syslog",
            "PRIORITY": str(line.priority),
            "SYSLOG_IDENTIFIER": line.identifier,
            "SYSLOG_PID": str(line.pid),
            "_PID": str(line.pid),
        }
        out += "".join(f"{key}={value}\n" for key, value in fields.items()).encode()
        message = line.message.encode()
        out += b"MESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n\n"
    return bytes(out)


class VmNode:
    """The node of the lab's site."""

    def __init__(self, courier: Courier) -> None:
        self.name = NODE
        self._courier = courier
        self._skew = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the node's clock: the outer machine's, by which it is kept, and what a fault put it off by."""
        return time.time() + self._skew

    def set_clock(self, skew: float = 0.0) -> None:
        """Set the node's clock to the outer machine's plus ``skew`` seconds."""
        self._skew = skew
        self._courier.run(["date", "-s", f"@{time.time() + skew:.3f}"])

    def run(self, argv: Sequence[str], stdin: bytes = b"") -> CommandResult:
        """Run a command on the node."""
        return self._courier.run(argv, stdin)

    def listdir(self, path: str) -> list[FileStat]:
        """Return the files of a directory; FileNotFoundError when it is not there."""
        files = self._courier.small("list", path)["files"]
        assert isinstance(files, list)
        return [FileStat(*entry) for entry in files]

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        with self._courier.get(path=path) as stream:
            parts = []
            while data := stream.read(1 << 18):
                parts.append(data)
        return b"".join(parts)

    def write(self, path: str, data: bytes, mtime: float | None = None) -> None:
        """Write a file whole."""
        with self._courier.put(path=path, mtime=mtime) as sink:
            sink.write(data)

    def rename(self, old: str, new: str) -> None:
        """Rename a file."""
        self._courier.small("rename", old, target=new)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        self._courier.small("unlink", path)

    def makedirs(self, path: str) -> None:
        """Make a folder and those above it."""
        self._courier.small("makedirs", path)

    def usage(self, path: str) -> FilesystemUsage:
        """Return the space of the file system that holds a path."""
        facts = self._courier.small("usage", path)
        total, used, avail = (int(str(facts[key])) for key in ("total", "used", "avail"))
        return FilesystemUsage(total, used, avail, str(facts["mountpoint"]))

    def mountpoints(self) -> set[str]:
        """Return where file systems are mounted."""
        found = set()
        for line in self.read("/proc/self/mounts").decode().splitlines():
            place = line.split(" ")[1]
            for code, character in OCTAL.items():
                place = place.replace(code, character)
            found.add(place)
        return found

    def journal(self, identifier: str, message: str, priority: int = 6, when: float | None = None) -> None:
        """Write a line to the journal, now or with a date of the past."""
        if when is None:
            self._courier.run(["logger", "-t", identifier, "-p", f"daemon.{priority}", "--", message])
        else:
            self.import_journal([DatedLine(when, identifier, message, priority)], f"{IMPORTED[:-8]}-{when:.0f}.journal")

    def import_journal(self, lines: Iterable[DatedLine], path: str = IMPORTED) -> None:
        """Write lines with dates of the past into a journal file of their own."""
        boot_id = self.read("/proc/sys/kernel/random/boot_id").decode().strip().replace("-", "")
        with self._lock, self._courier.put(argv=[*JOURNAL_IMPORT, path, "-"]) as sink:
            sink.write(export_format(lines, boot_id))
