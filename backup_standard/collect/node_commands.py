"""Every command that the audit runs on a node: all of them only read. Arguments are quoted into each ``%s``.

Each says what may stand in its ``%s``: an account other than root is given exactly these lines by sudo
(:mod:`backup_standard.collect.sudoers`).
"""

from __future__ import annotations

from typing import Self

_NAME = "[-A-Za-z0-9._+@]+"
PATH = f"(/{_NAME})*/?"
"""An absolute path of ordinary names: no blank, so that it stays one argument."""
_BACKUP = "vzdump-(qemu|lxc|openvz)-[1-9][0-9]{2,8}-[0-9]{4}_[0-9]{2}_[0-9]{2}-[0-9]{2}_[0-9]{2}_[0-9]{2}"
ARCHIVE = f"(/{_NAME})+/{_BACKUP}[.](tgz|(vma|tar)([.](gz|lzo|zst|bz2))?)"
"""An archive of a guest by its standard name, wherever it lies."""
LOG = f"(/{_NAME})+/{_BACKUP}[.]log"
"""The log beside an archive."""
_DEVICE = "/dev(/[-A-Za-z0-9._:+]+)+"
_DATASET = "[A-Za-z0-9][-A-Za-z0-9._:/]*"
_UNIT = r"-[.]mount|[A-Za-z0-9]([-A-Za-z0-9._:@]|[\]x[0-9a-f][0-9a-f])*"
ENTRY = "%H\\t%P\\t%y\\t%s\\t%T@\\t%D\\0"
"""What find prints of each entry: where the search began, the path from there, kind, size, time, device; a NUL."""
LINE = "%p\\n"
"""What find prints of each guest disk."""


class NodeCommand(str):
    """A command line. ``shapes``: for each ``%s`` the form of what goes there, as an extended regular expression.

    ``several``: the last ``%s`` may be repeated.
    """

    __slots__ = ("several", "shapes")
    shapes: tuple[str, ...]
    several: bool

    def __new__(cls, text: str, *shapes: str, several: bool = False) -> Self:
        """ValueError where a ``%s`` has no shape."""
        if text.count("%s") != len(shapes):
            raise ValueError(f"each %s of a command needs a shape: {text}")
        made = super().__new__(cls, text)
        made.shapes, made.several = shapes, several
        return made


def exactly(text: str) -> str:
    """The shape of one fixed text."""
    return "".join(f"[{sign}]" if sign in "\\.*+?$(){}|" else sign for sign in text)


ARCHIVE_DATA = NodeCommand("cat -- %s", ARCHIVE)
BLOCKS = NodeCommand("lsblk -J -b -p -o NAME,KNAME,TYPE,SIZE,FSTYPE,UUID,SERIAL,WWN,MODEL,VENDOR,TRAN")
BTRFS = NodeCommand("btrfs filesystem show --raw")
CANMOUNT = NodeCommand("zfs get -H -o value canmount %s", _DATASET)
CLOCK = NodeCommand("timedatectl show")
CRON = NodeCommand("cat /etc/pve/vzdump.cron")
EXISTS = NodeCommand("test -e %s", PATH)
FILES = NodeCommand("find %s %s -maxdepth 1 -printf %s", PATH, PATH, exactly(ENTRY))
FSTAB = NodeCommand("cat /etc/fstab")
HEADS = NodeCommand("head -v -c 4 -- %s", ARCHIVE, several=True)
HEALTH = NodeCommand("smartctl -H -j %s", _DEVICE)
IMAGES = NodeCommand("find %s -mindepth 2 -maxdepth 2 -printf %s", PATH, exactly(LINE))
IS_ENABLED = NodeCommand("systemctl is-enabled %s", _UNIT)
JOB_STATE = NodeCommand("cat %s", "/var/lib/pve-manager/jobs/vzdump-[-A-Za-z0-9_:]+[.]json")
KERNEL = NodeCommand("journalctl _TRANSPORT=kernel --priority=4 --since=-14d --lines=2000 --output=json --no-pager")
LOOPS = NodeCommand("losetup -J -l -O NAME,BACK-FILE")
LVS = NodeCommand("lvs -a --reportformat json --units b --nosuffix -o vg_name,lv_name,pool_lv,devices")
MISHAPS = NodeCommand(
    "journalctl --no-pager -o json --output-fields=MESSAGE,SYSLOG_IDENTIFIER --since %s -p err"
    " -t pvescheduler -t pvedaemon -t pvesh -t vzdump",
    "@[0-9]+",
)
MOUNT = NodeCommand("findmnt -J -T %s -o TARGET,SOURCE,FSTYPE,OPTIONS,FSROOT,VFS-OPTIONS,FS-OPTIONS", PATH)
POOLS = NodeCommand("zpool status -P -L")
PVS = NodeCommand("pvs --reportformat json --units b --nosuffix -o pv_name,vg_name")
SCHEDULER = NodeCommand("systemctl show pvescheduler.service -p LoadState -p ActiveState -p UnitFileState")
TAILS = NodeCommand("tail -v -n 3 -- %s", LOG, several=True)


def table() -> dict[str, NodeCommand]:
    """Every command by its name here."""
    return {name: value for name, value in sorted(globals().items()) if isinstance(value, NodeCommand)}
