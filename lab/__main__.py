"""``python -m lab``: bring the embedded lab up, look at it, break it, and take it down."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable

from lab import launch
from lab.settings import API_PORT, SSH_PORT, VERSIONS, Folders, Ports
from lab.vm.control import ask
from lab.vm.errors import LabError
from lab.vm.faults import FAULTS

DESCRIPTION = """A site to try backups and restore drills on: a node with four virtual machines and a container,
real archives on a backup disk of its own, and an API that answers as Proxmox VE does. No root, no Proxmox needed."""
EPILOG = """examples:
  python -m lab up                            first start: builds everything (minutes); later starts take seconds
  python -m lab status                        what runs, where to reach it, where its secrets are
  python -m lab ssh lsblk                     a command on the node; without one, a shell
  python -m lab fault corrupt-archive 210     damage the newest archive of guest 210
  python -m lab fault clear                   undo faults
  python -m lab down                          stop everything
faults:
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    faults = "".join(f"  {name:<24}{text}\n" for name, (_, text) in FAULTS.items())
    top = argparse.ArgumentParser(
        prog="python -m lab",
        description=DESCRIPTION,
        epilog=EPILOG + faults,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build what is missing, bring the lab up, return when the site answers")
    up.add_argument("--pve", choices=sorted(VERSIONS), default="9.2", help="answer as Proxmox VE 9.2 (default) or 8.4")
    up.add_argument("--api-port", type=int, default=API_PORT, metavar="N", help=f"port of the API (default {API_PORT})")
    up.add_argument(
        "--ssh-port", type=int, default=SSH_PORT, metavar="N", help=f"port of the node's SSH (default {SSH_PORT})"
    )
    commands.add_parser("down", help="stop everything the lab started")
    commands.add_parser("status", help="say what runs and where")
    commands.add_parser(
        "reset", help="stop the lab and forget its saved state; the next 'up' makes a new one (images stay)"
    )
    fault = commands.add_parser("fault", help="cause a fault, or undo them with 'clear'")
    fault.add_argument("name", metavar="NAME", choices=sorted(FAULTS), help="one of the faults that --help lists")
    fault.add_argument("vmid", metavar="VMID", type=int, nargs="?", help="the guest, where it matters (default 210)")
    ssh = commands.add_parser("ssh", help="a shell on the node, or one command")
    ssh.add_argument("words", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command and its arguments")
    return top


def up(given: argparse.Namespace, folders: Folders) -> int:
    """Bring the lab up."""
    return launch.up(folders, Ports(given.api_port, given.ssh_port), given.pve)


def down(_given: argparse.Namespace, folders: Folders) -> int:
    """Stop the lab."""
    print(launch.down(folders))  # noqa: T201
    return 0


def status(_given: argparse.Namespace, folders: Folders) -> int:
    """Say what runs; the exit status is 0 when the lab is up and 3 when it is not."""
    text, running = launch.status(folders)
    print(text)  # noqa: T201
    return 0 if running else 3


def reset(_given: argparse.Namespace, folders: Folders) -> int:
    """Stop the lab and forget its saved state."""
    print(launch.down(folders))  # noqa: T201
    for saved in (*folders.cache.glob("saved-*"), folders.cache / "saving"):
        shutil.rmtree(saved, ignore_errors=True)
    print("the saved state is forgotten; the next 'python -m lab up' makes a new one")  # noqa: T201
    return 0


def fault(given: argparse.Namespace, folders: Folders) -> int:
    """Cause a fault."""
    record = launch.running(folders)
    print(ask(launch.control_socket(record), given.name, given.vmid))  # noqa: T201
    return 0


def ssh(given: argparse.Namespace, folders: Folders) -> int:
    """Become ssh to the node."""
    line = launch.ssh_command(folders, launch.running(folders), given.words)
    os.execvp(line[0], line)  # noqa: S606 - an argument list, no shell


COMMANDS: dict[str, Callable[[argparse.Namespace, Folders], int]] = {
    "up": up,
    "down": down,
    "status": status,
    "reset": reset,
    "fault": fault,
    "ssh": ssh,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        return COMMANDS[given.command](given, Folders.of_user())
    except KeyboardInterrupt:
        print("lab: interrupted; what this command had started is stopped", file=sys.stderr)  # noqa: T201
        return 130
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
