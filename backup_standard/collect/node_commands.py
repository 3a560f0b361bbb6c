"""Every command that the audit runs on a node: all of them only read. Arguments are quoted into each ``%s``.

A sudoers file for an account other than root needs exactly these lines (HEADS and TAILS take several files).
"""

from __future__ import annotations

BLOCKS = "lsblk -J -b -p -o NAME,KNAME,TYPE,SIZE,FSTYPE,UUID,SERIAL,WWN,MODEL,VENDOR,TRAN"
BTRFS = "btrfs filesystem show --raw"
CANMOUNT = "zfs get -H -o value canmount %s"
CLOCK = "timedatectl show"
CRON = "cat /etc/pve/vzdump.cron"
EXISTS = "test -e %s"
FILES = "find %s %s -maxdepth 1 -printf %s"
FSTAB = "cat /etc/fstab"
HEADS = "head -v -c 4 -- %s"
HEALTH = "smartctl -H -j %s"
IMAGES = "find %s -mindepth 2 -maxdepth 2 -printf %s"
IS_ENABLED = "systemctl is-enabled %s"
JOB_STATE = "cat %s"
KERNEL = "journalctl _TRANSPORT=kernel --priority=4 --since=-14d --lines=2000 --output=json --no-pager"
LOOPS = "losetup -J -l -O NAME,BACK-FILE"
LVS = "lvs -a --reportformat json --units b --nosuffix -o vg_name,lv_name,pool_lv,devices"
MISHAPS = (
    "journalctl --no-pager -o json --output-fields=MESSAGE,SYSLOG_IDENTIFIER --since %s -p err"
    " -t pvescheduler -t pvedaemon -t pvesh -t vzdump"
)
MOUNT = "findmnt -J -T %s -o TARGET,SOURCE,FSTYPE,OPTIONS,FSROOT,VFS-OPTIONS,FS-OPTIONS"
POOLS = "zpool status -P -L"
PVS = "pvs --reportformat json --units b --nosuffix -o pv_name,vg_name"
SCHEDULER = "systemctl show pvescheduler.service -p LoadState -p ActiveState -p UnitFileState"
TAILS = "tail -v -n 3 -- %s"
