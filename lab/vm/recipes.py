"""What goes into each image: packages, overlays, files and links. Pure: from settings and keys to a TreeSpec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.settings import LAN_GATEWAY, LAN_PREFIX, MIB, NODE, ZONE, BuiltGuest
from lab.vm.bootstrap import BASE_PACKAGES
from lab.vm.keys import Keys
from lab.vm.treebuild import TreeSpec

TREE = Path(__file__).parent / "tree"
LEAD = MIB
"""Bytes before a guest's disk in its file: room for the header of an LVM physical volume (its default data offset)."""

NODE_PACKAGES = (
    *BASE_PACKAGES,
    "btrfs-progs",
    "busybox-static",
    "chrony",
    "cron",
    "cryptsetup-bin",
    "e2fsprogs",
    "fdisk",
    "iputils-ping",
    "lvm2",
    "mdadm",
    "nftables",
    "openssh-client",
    "procps",
    "python3",
    "smartmontools",
    "socat",
    "sudo",
    "systemd-journal-remote",
    "thin-provisioning-tools",
    "tzdata",
)
GUEST_PACKAGES = (*BASE_PACKAGES, "iputils-ping", "qemu-guest-agent")
NODE_DISK_MIB = 3072
LEAN_KERNEL = (
    "root=LABEL=root rw console=tty0 console=ttyS0 net.ifnames=0 quiet mitigations=off nokaslr audit=0 apparmor=0 "
    "random.trust_cpu=on cryptomgr.notests tsc=reliable no_timer_check 8250.nr_uarts=1 systemd.show_status=0 "
    "rootflags=noatime,noinit_itable"
)
MASKED_EVERYWHERE = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-machine-id-commit.service",
    "systemd-binfmt.service",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-rfkill.service",
    "systemd-rfkill.socket",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "modprobe@configfs.service",
    "modprobe@drm.service",
    "modprobe@fuse.service",
    "modprobe@efi_pstore.service",
    "systemd-network-generator.service",
    "systemd-networkd-wait-online.service",
    "systemd-sysusers.service",
    "kmod-static-nodes.service",
    "motd-news.timer",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
)
MASKED_IN_GUESTS = (
    "systemd-logind.service",
    "systemd-fsck-root.service",
    "systemd-remount-fs.service",
    "modprobe@loop.service",
    "modprobe@dm_mod.service",
    "systemd-modules-load.service",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-sysctl.service",
    "systemd-ask-password-wall.path",
    "systemd-ask-password-console.path",
    "systemd-initctl.socket",
    "systemd-journal-flush.service",
)
MASKED_ON_NODE = (
    "systemd-journal-remote.socket",
    "smartmontools.service",
    "smartd.service",
    "lvm2-monitor.service",
    "blk-availability.service",
    "mdcheck_continue.timer",
    "mdcheck_start.timer",
    "mdmonitor-oneshot.timer",
    "mdmonitor.service",
)
WANTED: Mapping[str, tuple[str, ...]] = {
    "node": (
        "courier",
        "lan",
        "chrony",
        "ssh",
        "cron",
        "pvescheduler",
        "pvedaemon",
        "pveproxy",
        "pvestatd",
        "pve-cluster",
        "pve-firewall",
        "pvefw-logger",
        "qmeventd",
        "spiceproxy",
        "pve-ha-lrm",
        "pve-ha-crm",
    ),
    "docker": ("lab-first-boot",),
    "guest": ("lab-net", "qemu-guest-agent"),
}
LIBRARY_UNITS = {"chrony", "cron", "qemu-guest-agent", "ssh"}
STALE = (
    "etc/ssh/ssh_host_*_key*",
    "etc/machine-id",
    "var/lib/apt/lists/*",
    "var/cache/apt/*",
    "var/lib/dbus/machine-id",
)


SHUTDOWN = """#!/bin/sh
# Called by the guest agent. The stock one asks logind first, which this small system does not run.
target=poweroff.target
for word; do [ "$word" = -r ] && target=reboot.target; done
exec systemctl --no-block --job-mode=replace-irreversibly start "$target"
"""


def masks(units: tuple[str, ...]) -> dict[str, str]:
    """Return the links that keep units from ever starting."""
    return {f"/etc/systemd/system/{unit}": "/dev/null" for unit in units}


def wants(role: str) -> dict[str, str]:
    """Return the links that start a role's units at boot."""
    folder = "/etc/systemd/system/multi-user.target.wants"
    homes = {name: "/lib/systemd/system" if name in LIBRARY_UNITS else ".." for name in WANTED.get(role, ())}
    return {f"{folder}/{name}.service": f"{home}/{name}.service" for name, home in homes.items()}


def _identity(name: str, keys: Keys, machine_id: str) -> dict[str, tuple[int, str]]:
    return {
        "/etc/hostname": (0o644, f"{name}\n"),
        "/etc/hosts": (
            0o644,
            f"127.0.0.1 localhost\n127.0.1.1 {name}.lab.example {name}\n::1 localhost ip6-localhost\n",
        ),
        "/etc/machine-id": (0o444, f"{machine_id}\n"),
        "/etc/.updated": (0o644, ""),
        "/var/.updated": (0o644, ""),
        "/etc/ssh/ssh_host_ed25519_key": (0o600, keys.host_key(name).read_text()),
        "/etc/ssh/ssh_host_ed25519_key.pub": (0o644, f"{keys.host_public(name)}\n"),
    }


def guest_spec(guest: BuiltGuest, archive: Path, out: Path, keys: Keys) -> TreeSpec:
    """Return how a guest's disk is made from the archive of its role."""
    overlays = [path for path in (TREE / "guest", TREE / guest.role) if path.exists()]
    files = {
        **_identity(guest.name, keys, f"{guest.vmid:032x}"),
        "/etc/fstab": (0o644, ""),
        "/usr/sbin/shutdown": (0o755, SHUTDOWN),
        "/etc/network-address": (0o644, f"{guest.address}/{LAN_PREFIX} {LAN_GATEWAY}\n"),
    }
    links = {
        **masks((*MASKED_EVERYWHERE, *MASKED_IN_GUESTS)),
        **wants("guest"),
        **wants(guest.role),
        "/etc/systemd/system/default.target": "/lib/systemd/system/multi-user.target",
    }
    return TreeSpec(
        archive=str(archive),
        out=str(out),
        disk_mib=guest.disk_mib,
        lead=LEAD,
        overlays=[str(path) for path in overlays],
        files=files,
        links=links,
        removed=STALE,
        account={"name": "drill", "hash": keys.password_hash, "key": keys.client_public, "groups": "docker,adm"},
        kernel_arguments=LEAN_KERNEL,
    )


def node_spec(archive: Path, out: Path, keys: Keys, boot_folder: Path) -> TreeSpec:
    """Return how the node's system disk is made; its kernel and initrd are copied to ``boot_folder``."""
    files = {
        **_identity(NODE, keys, f"{1:032x}"),
        "/etc/hosts": (
            0o644,
            f"127.0.0.1 localhost\n10.0.0.1 {NODE}.lab.example {NODE}\n::1 localhost ip6-localhost\n",
        ),
        "/root/.ssh/authorized_keys": (0o600, f"{keys.client_public}\n"),
        "/etc/timezone": (0o644, f"{ZONE}\n"),
        "/etc/pve/.keep": (0o644, ""),
        "/mnt/backup/.keep": (0o644, ""),
        "/var/log/pve/tasks/.keep": (0o644, ""),
        "/var/lib/vz/template/iso/.keep": (0o644, ""),
        "/var/lib/pve-manager/jobs/.keep": (0o644, ""),
        "/var/log/journal/.keep": (0o644, ""),
        "/var/lib/lxc/.keep": (0o644, ""),
    }
    links = {
        **masks((*MASKED_EVERYWHERE, *MASKED_ON_NODE)),
        **wants("node"),
        "/etc/localtime": f"/usr/share/zoneinfo/{ZONE}",
        "/etc/systemd/system/default.target": "/lib/systemd/system/multi-user.target",
    }
    return TreeSpec(
        archive=str(archive),
        out=str(out),
        disk_mib=NODE_DISK_MIB,
        grub=False,
        overlays=[str(TREE / "node")],
        files=files,
        links=links,
        removed=STALE,
        kernel_arguments=LEAN_KERNEL,
        boot_folder=str(boot_folder),
    )
