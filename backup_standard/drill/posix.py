"""Linux (and what is like it), asked through its usual programs."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Sequence

from backup_standard.drill.dialect import LARGEST_FILE, Run, Unreadable, decoded, said, told
from backup_standard.inventory.checks import SqlCheck
from backup_standard.quantities import say_size

_FILES = ("-type", "f", "-size", "+0c")
_READABLE = ("-exec", "dd", "if={}", "of=/dev/null", "bs=512", "count=1", ";")
_FOUND = "found"


class Posix:
    """See :class:`backup_standard.drill.dialect.Dialect`."""

    name = "linux"
    evidence: Sequence[str] = ("cat", "/proc/sys/kernel/random/boot_id", "/proc/uptime")
    host_key: Sequence[str] = ("cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    who: Sequence[str] = ("id", "-un")

    def boot_of(self, said: str) -> tuple[str, float]:
        """The kernel's random boot id and its uptime."""
        words = said.split()
        return words[0], float(words[1])

    def is_account(self, said: str, user: str) -> bool:
        """Names of accounts are compared as they are."""
        return said.strip() == user

    def literal(self, value: str) -> str:
        """Quoted for ``sh``."""
        return shlex.quote(value)

    def line(self, command: str) -> Sequence[str]:
        """Through ``sh``."""
        return ("sh", "-c", command)

    def ping(self, address: str, *, patience: int) -> Sequence[str]:
        """Through ``ping``; status 127 where there is none."""
        return ("ping", "-c", "1", "-W", str(patience), "-n", address)

    def connect(self, address: str, port: int) -> Sequence[str]:
        """Through bash's own devices; status 127 where there is no bash."""
        return ("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{ipaddress.ip_address(address)}/{int(port)}")

    def unit_state(self, run: Run, unit: str) -> str:
        """Through systemd."""
        return run(("systemctl", "is-active", "--", unit)).stdout.strip()

    def sql(self, check: SqlCheck, *, as_root: bool) -> Sequence[str]:
        """Through the client's local socket; as another account only where the command runs as root."""
        account = check.account or ("postgres" if check.client == "psql" else "")
        inside = ("docker", "exec", *(("--user", account) if account else ()), check.container or "")
        before = inside if check.container else ("runuser", "-u", account, "--") if account and as_root else ()
        return (*before, *_query(check))

    def read(self, run: Run, path: str) -> bytes:
        """As base64: text beyond ASCII breaks an agent's answer (upstream: 596, wide character)."""
        size = int(told(run(("stat", "-c", "%s", "--", path)), path))
        if size > LARGEST_FILE:
            raise Unreadable(f"{path} is {say_size(size)} large; declare its sha256 instead of its text")
        return decoded(run(("base64", "--", path)), path)

    def digest(self, run: Run, path: str) -> str:
        """Through sha256sum, which marks names with odd characters by a leading backslash."""
        return told(run(("sha256sum", "--", path)), path).split()[0].lstrip("\\").lower()

    def modified(self, run: Run, path: str) -> float:
        """Through stat."""
        return float(told(run(("stat", "-c", "%Y", "--", path)), path))

    def holds_data(self, run: Run, folder: str) -> bool:
        """Through find, with what busybox knows of it too; nothing is printed of the client's names and data."""
        ran = run(("find", f"{folder.rstrip('/')}/", *_FILES, *_READABLE, "-exec", "echo", _FOUND, ";", "-quit"))
        if _FOUND in ran.stdout:
            return True
        if ran.rc != 0 or ran.stderr.strip():
            raise Unreadable(f"{folder} cannot be read: {said(ran)}")
        return False

    def is_mount(self, run: Run, folder: str) -> bool:
        """By the devices of the folder and of the one above it."""
        place = folder.rstrip("/")
        devices = told(run(("stat", "-c", "%d", "--", f"{place}/.", f"{place}/..")), folder).split()
        return place == "" or len(set(devices)) > 1


def _query(check: SqlCheck) -> Sequence[str]:
    database = check.database or ""
    if check.client == "psql":
        plain = (
            "psql",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--quiet",
            "--no-password",
            "--set=ON_ERROR_STOP=1",
        )
        return (*plain, *((f"--dbname={database}",) if database else ()), f"--command={check.query}")
    if check.client == "sqlite3":
        return ("sqlite3", "-batch", "-readonly", "-noheader", "--", database, check.query)
    if check.client == "sqlcmd":
        return ("sqlcmd", "-b", "-h", "-1", "-W", *(("-d", database) if database else ()), "-Q", check.query)
    named = (f"--database={database}",) if database else ()
    return (check.client, "--batch", "--skip-column-names", *named, f"--execute={check.query}")


POSIX = Posix()
