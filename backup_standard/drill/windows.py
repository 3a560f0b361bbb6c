"""Windows, asked through PowerShell. Made from documentation and from the guest agent's formats; see drills/README.md.

Scripts travel as ``-EncodedCommand`` (base64 of UTF-16), so that nothing of them passes a command line's quoting; what
varies stands in them as a PowerShell literal.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence

from backup_standard.drill.dialect import LARGEST_FILE, Run, Unreadable, decoded, told
from backup_standard.inventory.checks import SqlCheck

_START = "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'; "
_POWERSHELL = ("powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-OutputFormat", "Text")
_ITEM = "$f = Get-Item -Force -LiteralPath {path}; "
_STATES = {"Running": "active", "Stopped": "inactive", "StartPending": "activating", "StopPending": "deactivating"}


def script(text: str) -> Sequence[str]:
    """A PowerShell script as the arguments of a program; it ends with 1 at the first error."""
    encoded = base64.b64encode((_START + text).encode("utf-16-le")).decode()
    return (*_POWERSHELL, "-EncodedCommand", encoded)


def literal(value: str) -> str:
    """A text as PowerShell writes it: in single quotes, each of the characters it takes for one doubled."""
    return "'" + "".join(letter * 2 if letter in "'\u2018\u2019\u201a\u201b" else letter for letter in value) + "'"


class Windows:
    """See :class:`backup_standard.drill.dialect.Dialect`."""

    name = "windows"
    evidence = script(
        "$o = Get-CimInstance Win32_OperatingSystem; "
        "'{0:yyyyMMddTHHmmssZ} {1}' -f $o.LastBootUpTime.ToUniversalTime(), "
        "[int]($o.LocalDateTime - $o.LastBootUpTime).TotalSeconds"
    )
    host_key = script("Get-Content -LiteralPath (Join-Path $env:ProgramData 'ssh\\ssh_host_ed25519_key.pub')")
    who: Sequence[str] = ("whoami",)

    def boot_of(self, said: str) -> tuple[str, float]:
        """The moment of the boot, and the seconds since."""
        words = said.split()
        return words[0], float(words[1])

    def is_account(self, said: str, user: str) -> bool:
        """Without the domain unless one is wanted, and whatever the case."""
        found, wanted = said.strip().lower(), user.lower()
        return found == wanted or ("\\" not in wanted and found.rpartition("\\")[2] == wanted.partition("@")[0])

    def literal(self, value: str) -> str:
        """Quoted for PowerShell."""
        return literal(value)

    def line(self, command: str) -> Sequence[str]:
        """Through PowerShell; the last program's exit status is its own."""
        return script(f"{command}\nif ($null -ne $LASTEXITCODE) {{ exit $LASTEXITCODE }}")

    def ping(self, address: str, *, patience: int) -> Sequence[str]:
        """Not through ping.exe, which ends with 0 also when a router says that the address is unreachable."""
        wait = f"(New-Object Net.NetworkInformation.Ping).Send({literal(address)}, {patience * 1000}).Status"
        return script(f"if ({wait} -eq 'Success') {{ exit 0 }} else {{ exit 1 }}")

    def connect(self, address: str, port: int) -> Sequence[str]:
        """Through a socket of .NET."""
        plain = ipaddress.ip_address(address)
        target = f"{literal(str(plain))}, {int(port)}"
        family = "InterNetworkV6" if plain.version == 6 else "InterNetwork"  # noqa: PLR2004 - the version's number
        return script(
            f"$c = New-Object Net.Sockets.TcpClient([Net.Sockets.AddressFamily]::{family}); "
            f"try {{ $ok = $c.ConnectAsync({target}).Wait(3000) }} catch {{ $ok = $false }}; "
            "if ($ok) { exit 0 } else { exit 1 }"
        )

    def unit_state(self, run: Run, unit: str) -> str:
        """Through the service manager."""
        ran = run(script(f"(Get-Service -Name {literal(unit)}).Status.ToString()"))
        state = ran.stdout.strip() if ran.rc == 0 else ""
        return _STATES.get(state, state.lower())

    def sql(self, check: SqlCheck, *, as_root: bool) -> Sequence[str]:
        """Microsoft's client with the agent's own Windows account; other clients as they are on Linux."""
        del as_root  # the agent's account is all there is
        if check.client == "sqlcmd":
            database = ("-d", check.database) if check.database else ()
            return ("sqlcmd", "-E", "-b", "-h", "-1", "-W", *database, "-Q", f"SET NOCOUNT ON; {check.query}")
        raise Unreadable(f"on Windows {check.client} is asked by a command, not by sql")

    def read(self, run: Run, path: str) -> bytes:
        """As base64."""
        return decoded(run(script(
            f"{_ITEM.format(path=literal(path))}"
            f"if ($f.Length -gt {LARGEST_FILE}) {{ throw 'too large; declare its sha256 instead of its text' }}; "
            "[Convert]::ToBase64String([IO.File]::ReadAllBytes($f.FullName))"
        )), path)  # fmt: skip

    def digest(self, run: Run, path: str) -> str:
        """Through Get-FileHash."""
        return told(run(script(f"(Get-FileHash -Algorithm SHA256 -LiteralPath {literal(path)}).Hash")), path).lower()

    def modified(self, run: Run, path: str) -> float:
        """As seconds since 1970."""
        epoch = "([datetime]'1970-01-01Z').ToUniversalTime()"
        return float(told(run(script(
            f"{_ITEM.format(path=literal(path))}[long]($f.LastWriteTimeUtc - {epoch}).TotalSeconds"
        )), path))  # fmt: skip

    def holds_data(self, run: Run, folder: str) -> bool:
        """The first byte of a file is read; nothing is printed of the client's names and data."""
        return told(run(script(
            f"{_ITEM.format(path=literal(folder))}"
            "$d = Get-ChildItem -Force -Recurse -File -LiteralPath $f.FullName | Where-Object Length -gt 0 | "
            "Select-Object -First 1; "
            "if ($d) { $s = [IO.File]::OpenRead($d.FullName); [void]$s.ReadByte(); $s.Close() }; [bool]$d"
        )), folder) == "True"  # fmt: skip

    def is_mount(self, run: Run, folder: str) -> bool:
        """The root of a drive, or a folder that a volume is mounted in."""
        return told(run(script(
            f"{_ITEM.format(path=literal(folder))}"
            "$f.FullName -eq [IO.Path]::GetPathRoot($f.FullName) -or $f.LinkType -eq 'Junction'"
        )), folder) == "True"  # fmt: skip


WINDOWS = Windows()
