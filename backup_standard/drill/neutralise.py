"""What must change in a guest's configuration before its copy may be powered on: a pure function of that configuration.

Upstream (PVE/API2/Qemu.pm, PVE/QemuServer.pm): a restore takes any key except drives as an override in the same call,
can replace keys but not delete them, and ``args``, ``hookscript`` and real devices may be set by root@pam alone. So
what cannot be made harmless with the drill's own rights is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from backup_standard.drill import guestconfig, names

Found = Mapping[str, str]

_SPICE_ONLY = re.compile(r"(?:host=)?spice(?:,.*)?")
_CLOUD_INIT = re.compile(r".*[:/]vm-\d+-cloudinit(?:\..*)?")


@dataclass(frozen=True)
class Change:
    """One key that differs from the archive, and why."""

    key: str
    archived: str
    value: str
    why: str

    def __str__(self) -> str:
        return f"{self.key}: {self.archived or '(unset)'} → {self.value or '(removed)'} ({self.why})"


@dataclass(frozen=True)
class Neutralised:
    """The decision on one guest.

    ``overrides`` go into the restore call, ``afterwards`` into a configuration call before power-on (value "" removes
    the key); ``refusals`` say what forbids the drill; ``kept`` what is left as archived on purpose; ``removed`` what
    the restore itself leaves out, and what must not be found in the copy.
    """

    overrides: Mapping[str, str]
    afterwards: Mapping[str, str]
    changes: tuple[Change, ...]
    refusals: tuple[str, ...]
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def neutralise(config: Found, *, source: int, run: str, volid: str, bridge: str) -> Neutralised:
    """Decide every change to the archived configuration of guest ``source`` before its copy boots on ``bridge``.

    MAC addresses stay as archived: the bridge is isolated, and network settings inside guests are often keyed to them.
    """
    flags = {"template": "a template cannot start; its archive is restored as an ordinary VM"}
    given = usual(config, source=source, run=run, volid=volid, isolated=partial(_isolated, bridge=bridge), flags=flags)
    before = {"name": _name(config, source), **given}
    after = _media(config) | _watchdog(config)
    changes = tuple(
        Change(key, config.get(key, ""), value, why)
        for key, (value, why) in (before | after).items()
        if config.get(key, "") != value
    )
    return Neutralised(
        overrides={key: value for key, (value, _why) in before.items()},
        afterwards={key: value for key, (value, _why) in after.items()},
        changes=changes,
        refusals=tuple(text for find in _REFUSALS for text in find(config)),
        kept=_kept(config),
    )


def usual(
    config: Found, *, source: int, run: str, volid: str, isolated: Callable[[Mapping[str, str]], str],
    flags: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, tuple[str, str]]:  # fmt: skip
    """What every copy is given, with the reasons: its marks, ``isolated`` cards, and no flag that would hinder.

    ``flags`` are those of its kind, beside the protection that both kinds have, each with the reason to take it away.
    """
    off = {**flags, "protection": "the copy must be deletable"}
    return {
        "description": (names.description(run, source, volid), "tells which run made it"),
        "tags": (names.TAG, "marks it as a drill's"),
        "onboot": ("0", "a node that restarts must not start it"),
        **{
            f"net{number}": (isolated(card), "moved to the isolated bridge")
            for number, card in guestconfig.cards(config).items()
        },
        **{key: ("0", why) for key, why in off.items() if config.get(key) == "1"},
    }


def _name(config: Found, source: int) -> tuple[str, str]:
    """A name that tells whose copy it is; with a cloud-init drive the host name that it was given before.

    The drive is written anew at each start, and its instance id is a hash of what it says, the host name included: with
    another one the guest would take this for its first boot and make itself new keys (upstream:
    PVE/QemuServer/Cloudinit.pm nocloud_gen_metadata, get_hostname_fqdn).
    """
    if any(True for _key in _seeds(config)):
        return config.get("name", f"VM{source}"), "as archived: cloud-init takes another host name for a first boot"
    return names.guest_name(source, config.get("name", "guest")), "tells whose copy it is"


def _isolated(card: Mapping[str, str], bridge: str) -> str:
    mac = card.get("macaddr")
    model = card.get("model") or "virtio"
    rest = [f"{key}={card[key]}" for key in ("mtu", "queues") if key in card]
    return ",".join([f"{model}={mac}" if mac else model, f"bridge={bridge}", *rest])


def _media(config: Found) -> dict[str, tuple[str, str]]:
    return {
        key: ("none,media=cdrom", "the medium may be missing here, and must not be booted")
        for key, value in guestconfig.drives(config)
        if guestconfig.is_cdrom(value) and not value.startswith("none") and not _CLOUD_INIT.fullmatch(_volume(value))
    }


def _watchdog(config: Found) -> dict[str, tuple[str, str]]:
    why = "a slow boot would be reset"
    return {"watchdog": ("", why)} if "watchdog" in config else {}


def _volume(value: str) -> str:
    return guestconfig.properties(value).get("", "")


def _seeds(config: Found) -> Iterator[str]:
    return (key for key, value in guestconfig.drives(config) if _CLOUD_INIT.fullmatch(_volume(value)))


def _kept(config: Found) -> tuple[str, ...]:
    cloud = tuple(
        f"{key}: the cloud-init drive, so that the guest does not take this for its first boot"
        for key in _seeds(config)
    )
    order = ("startup: only used by autostart, which is off",) if "startup" in config else ()
    return cloud + order


def _host_commands(config: Found) -> list[str]:
    texts = {
        "args": "passes arguments of its own to QEMU on the node",
        "hookscript": "runs a script on the node whenever the guest starts or stops",
    }
    return [f"{key}: {config[key]!r} {text}; only root may remove it" for key, text in texts.items() if key in config]


def _devices(config: Found) -> list[str]:
    found = []
    for key, value in config.items():
        if re.fullmatch(r"hostpci\d+", key):
            found.append(f"{key}: {value!r} would take a PCI device away from production")
        elif re.fullmatch(r"usb\d+", key) and not _SPICE_ONLY.fullmatch(value):
            found.append(f"{key}: {value!r} would take a USB device away from production")
        elif re.fullmatch(r"parallel\d+", key) or (re.fullmatch(r"serial\d+", key) and value != "socket"):
            found.append(f"{key}: {value!r} is a device of the node")
        elif re.fullmatch(r"virtiofs\d+", key):
            found.append(f"{key}: {value!r} shares a directory of the node")
        elif key == "ivshmem":
            found.append(f"{key}: {value!r} shares memory with other guests")
    return found


def _raw_disks(config: Found) -> list[str]:
    return [
        f"{key}: {_volume(value)!r} is a raw device or file of the node, not a volume of a storage"
        for key, value in guestconfig.drives(config)
        if _volume(value).startswith("/") and guestconfig.properties(value).get("backup") != "0"
    ]


def _strange(config: Found) -> list[str]:
    """Settings that this list does not know, of a newer release perhaps: what they reach is anybody's guess."""
    return [f"{key}: {value!r} is a setting that is not known here" for key, value in config.items() if not _known(key)]


def _known(key: str) -> bool:
    return key in _INSIDE or key in _JUDGED or re.sub(r"\d+$", "", key) in _FAMILIES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INSIDE = _words(
    "acpi affinity agent allow-ksm amd-sev arch audio0 autostart balloon bios boot bootdisk cicustom cipassword citype"
    " ciupgrade ciuser cores cpu cpulimit cpuunits digest freeze hotplug hugepages intel-tdx keephugepages keyboard kvm"
    " localtime machine memory meta migrate_downtime migrate_speed nameserver numa ostype reboot rng0 scsihw"
    " searchdomain shares smbios1 smp sockets spice_enhancements sshkeys startdate tablet tdf vcpus vga vmgenid"
    " vmstatestorage"
)
"""What stays inside the guest or only says how much of the node it gets (upstream: PVE/QemuServer.pm, $confdesc)."""
_DROPPED = _words("lock parent snaptime snapstate vmstate runningmachine runningcpu running-nets-host-mtu")
"""What a restore leaves out (upstream: PVE/QemuServer.pm restore_update_config_line, vzdump's own configuration)."""
_JUDGED = _DROPPED | _words(
    "args cdrom description hookscript ivshmem name onboot protection startup tags template watchdog"
)
"""What is changed, refused, or told to be kept above."""
_FAMILIES = _words(
    "net ide sata scsi virtio efidisk tpmstate unused hostpci usb serial parallel virtiofs ipconfig numa"
)
"""Numbered settings: cards and drives are changed, devices of the node refused, the rest stays inside."""

_REFUSALS: tuple[Callable[[Found], list[str]], ...] = (_host_commands, _devices, _raw_disks, _strange)
