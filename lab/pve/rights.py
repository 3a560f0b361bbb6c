"""The privileges that changing a guest's configuration asks for, key by key.

Upstream: PVE/API2/Qemu.pm check_vm_modify_config_perm, PVE/LXC.pm check_ct_modify_config_perm,
PVE/RPCEnvironment.pm check_vm_perm, PVE/Tools.pm and PVE/QemuServer.pm check_bridge_access.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lab.pve.call import Call, die, param_error
from lab.pve.guestconfig import Nic, Value, is_cdrom, is_drive

_CPU = "affinity cores cpu cpulimit cpuunits numa smp sockets vcpus"
_MEMORY = "allow-ksm balloon hugepages ivshmem keephugepages memory shares"
_HARDWARE = "acpi amd-sev arch audio0 efidisk0 hotplug intel-tdx kvm machine rng0 scsihw smbios1 spice_enhancements"
_HARDWARE_MORE = "tablet tpmstate0 vga vmgenid watchdog"
_OPTIONS = (
    "agent autostart bios description digest keyboard localtime migrate_downtime migrate_speed name onboot ostype"
)
_OPTIONS_MORE = "protection reboot startdate startup tags tdf template"
_DISK = "boot bootdisk vmstatestorage"
_CLOUDINIT = "cicustom cipassword citype ciupgrade ciuser sshkeys nameserver searchdomain"

QEMU_RIGHTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_CPU.split(), ("VM.Config.CPU",)),
    **dict.fromkeys(_MEMORY.split(), ("VM.Config.Memory",)),
    **dict.fromkeys([*_HARDWARE.split(), *_HARDWARE_MORE.split()], ("VM.Config.HWType",)),
    **dict.fromkeys([*_OPTIONS.split(), *_OPTIONS_MORE.split()], ("VM.Config.Options",)),
    **dict.fromkeys(_DISK.split(), ("VM.Config.Disk",)),
    **dict.fromkeys(_CLOUDINIT.split(), ("VM.Config.Cloudinit", "VM.Config.Network")),
    "freeze": ("VM.PowerMgmt",),
}
"""Key of a virtual machine → privileges one of which is needed on /vms/VMID; keys not listed are for root@pam alone."""

LXC_RIGHTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(["cores", "cpulimit", "cpuunits"], ("VM.Config.CPU",)),
    **dict.fromkeys(["memory", "swap"], ("VM.Config.Memory",)),
    **dict.fromkeys(["hostname", "nameserver", "searchdomain"], ("VM.Config.Network",)),
    "features": ("VM.Allocate",),
}
"""Key of a container → privilege; network cards and mount points apart, all others need VM.Config.Options."""

_FAMILIES = {
    "net": ("VM.Config.Network",),
    "ipconfig": ("VM.Config.Cloudinit", "VM.Config.Network"),
    "unused": ("VM.Config.Disk",),
    "numa": ("VM.Config.CPU",),
    "serial": ("VM.Config.HWType",),
    "usb": ("VM.Config.HWType",),
    "hostpci": ("VM.Config.HWType",),
    "virtiofs": ("VM.Config.Disk",),
}


def vm_perm(call: Call, vmid: int, pool: str | None, *privs: str) -> None:
    """One of the privileges on the pool that was named, or else on /vms/VMID; 403 names the latter."""
    if pool and call.check(f"/pool/{pool}", *privs, any=True, noerr=True):
        return
    call.check(f"/vms/{vmid}", *privs, any=len(privs) > 1)


def check_skiplock(call: Call) -> None:
    """Refuse ``skiplock`` for all but root@pam."""
    if call.params.get("skiplock") and not call.is_root:
        param_error("skiplock", "Only root may use this option.")


def check_qemu_keys(
    call: Call, vmid: int, pool: str | None, values: Mapping[str, Value], delete: Iterable[str]
) -> None:
    """Refuse keys of a virtual machine that the caller may not set or delete."""
    if call.is_root:
        return
    for key, value in [*values.items(), *((key, "") for key in delete)]:
        vm_perm(call, vmid, pool, *_needed(key, value))
        if key == "startup":
            call.check("/", "Sys.Modify")


def _needed(key: str, value: Value) -> tuple[str, ...]:
    if key in QEMU_RIGHTS:
        return QEMU_RIGHTS[key]
    if is_drive(key) or key == "cdrom":
        return ("VM.Config.CDROM",) if key == "cdrom" or is_cdrom(value) else ("VM.Config.Disk",)
    family = re.sub(r"\d+$", "", key)
    if family != key and family in _FAMILIES:
        _refuse_real_device(key, family, str(value))
        return _FAMILIES[family]
    return die(f"only root can set '{key}' config")


def _refuse_real_device(key: str, family: str, value: str) -> None:
    mapped = "mapping=" in value
    harmless = {"serial": value in {"", "socket"}, "usb": value in {"", "spice"} or value.startswith("spice")}
    real = family in {"serial", "usb", "hostpci"} and not mapped and not harmless.get(family, value == "")
    if real:
        which = "real devices" if family == "serial" else "real devices/non-mapped devices"
        die(f"only root can set '{key}' config for {which}")


def check_lxc_keys(call: Call, vmid: int, pool: str | None, keys: Iterable[str]) -> None:
    """Refuse keys of a container that the caller may not set or delete (derived, not recorded)."""
    if call.is_root:
        return
    for key in keys:
        family = re.sub(r"\d+$", "", key)
        if key == "rootfs" or family in {"mp", "unused"}:
            vm_perm(call, vmid, pool, "VM.Config.Disk")
        elif family == "net":
            vm_perm(call, vmid, pool, "VM.Config.Network")
        elif key == "hookscript" or family in {"dev", "lxc"}:
            die(f"only root can set '{key}' config")
        else:
            vm_perm(call, vmid, pool, *LXC_RIGHTS.get(key, ("VM.Config.Options",)))


def check_bridges(call: Call, values: Iterable[Value]) -> None:
    """Since 8, SDN.Use on the bridge (and VLAN) of each network card; 403 names the zone's path."""
    for value in values if call.site.major >= 8 else ():
        nic = Nic.parse(str(value))
        if nic.bridge:
            tag = nic.options.get("tag")
            call.check(f"/sdn/zones/localnetwork/{nic.bridge}" + (f"/{tag}" if tag else ""), "SDN.Use")


def check_storage(call: Call, storage: str) -> None:
    """Datastore.AllocateSpace on a storage."""
    call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
