"""Root file systems as tar archives, made by mmdebstrap from this machine's own package sources, as any user."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.vm.errors import LabError
from lab.vm.hostpackages import SYSTEM_PATH, program
from lab.vm.processes import Spawner
from lab.vm.suite import Suite

MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
LEAN = (
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Apt::Install-Recommends "false"',
)
BASE_PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "openssh-server", "iproute2", "zstd")
BUILD_SECONDS = 1800.0
MAKE_DEV = '--setup-hook=mkdir -p "$1/dev"'
"""In user namespaces mmdebstrap gives packages a /dev/null only where there is a /dev."""
SHELL_OUT = "unshare --map-root-user --map-auto"


def privilege_mode() -> str:
    """Return how files of root are made here: "root", "unshare" (user namespaces) or "fakechroot" (neither)."""
    if os.geteuid() == 0:
        return "root"
    probe = subprocess.run([*SHELL_OUT.split(), "true"], capture_output=True, check=False)
    return "unshare" if probe.returncode == 0 else "fakechroot"


def as_root(mode: str) -> list[str]:
    """Return the words to put before a command that must see itself as root and own any file."""
    return {"root": [], "unshare": SHELL_OUT.split(), "fakechroot": [program("fakeroot")]}[mode]


def command_line(suite: Suite, mode: str, packages: Sequence[str], out: Path, base: Path | None = None) -> list[str]:
    """Return mmdebstrap's argument list; ``base`` is an archive to go on from instead of starting at nothing.

    The archives hold no device nodes, so that any user can unpack them; the kernel fills /dev itself.
    """
    line = [
        program("mmdebstrap"),
        f"--mode={mode}",
        "--format=tar",
        "--skip=output/dev",
        *LEAN,
        f"--include={','.join(packages)}",
    ]
    if base is None:
        line += ["--variant=minbase"]
    else:
        line += ["--variant=custom", f"--setup-hook=tar-in {shlex.quote(str(base))} /", MAKE_DEV]
    if mode == "fakechroot" and base is None:
        line += [f"--hook-dir={MERGED_USR}"]
    return [*line, suite.codename, str(out)]


def bootstrap(
    spawner: Spawner, suite: Suite, packages: Sequence[str], out: Path, log: Path, *, base: Path | None = None
) -> None:
    """Make the archive ``out``. Everything mmdebstrap says goes to ``log``; LabError quotes its end on failure."""
    log.unlink(missing_ok=True)
    line = command_line(suite, privilege_mode(), packages, out, base)
    environment = {"INITRD": "No", "PATH": f"{os.environ['PATH']}:{SYSTEM_PATH}"}
    status = spawner.run(f"build-{out.name}", line, log, timeout=BUILD_SECONDS, environment=environment)
    if status:
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
        raise LabError(
            f"mmdebstrap could not build {out.name} from {suite.label} (exit {status}); its whole output is in {log}. "
            f"Check that 'apt-get update' works on this machine, then start again. It ended:\n  {tail}"
        )
