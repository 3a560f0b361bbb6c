"""Routes of the node's disks (upstream: PVE/Diskmanage.pm, PVE/API2/Disks)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lab.pve.call import Call, die
from lab.pve.nodes import run
from lab.pve.site import Site

COLUMNS = "NAME,TYPE,SIZE,MODEL,SERIAL,VENDOR,WWN,ROTA,FSTYPE,PTTYPE,MOUNTPOINTS"
UNITS = ("--units", "b", "--nosuffix", "--reportformat", "json")
USES = {"LVM2_member": "LVM", "zfs_member": "ZFS", "crypto_LUKS": "dm-crypt"}
COMMAND_FAILED = 0b11
"""Bits of smartctl's exit status that say it could not do its work; the others tell about the disk."""
Device = Mapping[str, Any]


def _devices(site: Site) -> list[Device]:
    found: list[Device] = json.loads(run(site, "lsblk", "-J", "-b", "-p", "-o", COLUMNS))["blockdevices"]
    return [
        device
        for device in found
        if device["type"] == "disk" and not str(device["name"]).startswith(("/dev/zram", "/dev/fd"))
    ]


def _mounted(device: Device) -> bool:
    return any(device.get("mountpoints") or [])


def _use(device: Device) -> str | None:
    if (kind := device.get("fstype")) in USES:
        return USES[str(kind)]
    if _mounted(device):
        return "mounted"
    children = [child for child in device.get("children", []) if child["type"] == "part"]
    uses = [use for child in children if (use := _use(child))]
    return uses[0] if uses else "partitions" if children else kind


def _entry(device: Device, parent: Device | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "devpath": device["name"],
        "size": int(device["size"]),
        "gpt": int(device.get("pttype") == "gpt"),
        "osdid": -1,
        "osdid-list": None,
    }
    if use := _use(device):
        shown["used"] = use
    if _mounted(device):
        shown["mounted"] = 1
    if parent is not None:
        return {**shown, "parent": parent["name"], "type": "partition"}
    unknown = "unknown"
    return {
        **shown,
        "type": unknown,
        "rpm": -1,
        "health": "UNKNOWN",
        "wearout": "N/A",
        "model": device.get("model") or unknown,
        "serial": device.get("serial") or unknown,
        "wwn": device.get("wwn") or unknown,
        "vendor": device.get("vendor") or unknown,
    }


def list_disks(call: Call) -> object:
    """GET /nodes/{node}/disks/list; health needs SMART, which virtual disks do not have."""
    shown = []
    for device in _devices(call.site):
        entries = [_entry(device)]
        if call.params.get("include-partitions"):
            entries += [_entry(child, device) for child in device.get("children", []) if child["type"] == "part"]
        shown += [entry for entry in entries if call.params.get("type") is None or "used" not in entry]
    return shown


def _names(devices: list[Device]) -> Iterator[str]:
    for device in devices:
        yield str(device["name"])
        yield from _names(device.get("children", []))


def smart(call: Call) -> object:
    """GET /nodes/{node}/disks/smart; a virtual disk has no SMART data, and that is the answer."""
    disk = call.params["disk"]
    if disk not in set(_names(_devices(call.site))):
        die(f"not a valid block device ({disk})")
    result = call.site.hypervisor.node.run(["smartctl", "-H", "-A", disk])
    if result.rc & COMMAND_FAILED:
        die(f"Error getting S.M.A.R.T. data: Exit code: {result.rc}")
    return {"type": "text", "health": "PASSED" if "PASSED" in result.stdout else "UNKNOWN", "text": result.stdout}


def _report(site: Site, command: str, columns: str) -> list[Mapping[str, str]]:
    kind = {"vgs": "vg", "pvs": "pv", "lvs": "lv"}[command]
    told = json.loads(run(site, command, *UNITS, "-o", columns))
    return [line for report in told["report"] for line in report.get(kind, [])]


def lvm(call: Call) -> object:
    """GET /nodes/{node}/disks/lvm: volume groups and the disks they stand on."""
    volumes = _report(call.site, "pvs", "pv_name,vg_name,pv_size,pv_free")
    groups = [
        {
            "name": group["vg_name"],
            "size": int(group["vg_size"]),
            "free": int(group["vg_free"]),
            "leaf": 0,
            "children": [
                {"name": volume["pv_name"], "size": int(volume["pv_size"]), "free": int(volume["pv_free"]), "leaf": 1}
                for volume in volumes
                if volume["vg_name"] == group["vg_name"]
            ],
        }
        for group in _report(call.site, "vgs", "vg_name,vg_size,vg_free")
    ]
    return {"leaf": 0, "children": groups}


def lvmthin(call: Call) -> object:
    """GET /nodes/{node}/disks/lvmthin: thin pools."""
    columns = "lv_name,vg_name,lv_attr,lv_size,data_percent,metadata_percent,lv_metadata_size"
    pools = [line for line in _report(call.site, "lvs", columns) if line["lv_attr"].startswith("t")]
    return [_thin(line) for line in pools]


def _thin(line: Mapping[str, str]) -> dict[str, Any]:
    size, metadata = int(line["lv_size"]), int(line["lv_metadata_size"])
    return {
        "lv": line["lv_name"],
        "vg": line["vg_name"],
        "lv_size": size,
        "metadata_size": metadata,
        "used": int(size * float(line["data_percent"]) / 100),
        "metadata_used": int(metadata * float(line["metadata_percent"]) / 100),
    }


def zfs(call: Call) -> object:
    """GET /nodes/{node}/disks/zfs: pools, none where the node has no ZFS."""
    argv = ["zpool", "list", "-H", "-p", "-o", "name,size,allocated,free,fragmentation,dedupratio,health"]
    result = call.site.hypervisor.node.run(argv)
    rows = [line.split("\t") for line in result.stdout.splitlines()] if result.rc == 0 else []
    return [
        {
            "name": name,
            "size": int(size),
            "alloc": int(alloc),
            "free": int(free),
            "frag": int(frag),
            "dedup": float(dedup),
            "health": health,
        }
        for name, size, alloc, free, frag, dedup, health in rows
    ]


def directory(call: Call) -> object:
    """GET /nodes/{node}/disks/directory: only mounts that Proxmox itself made as units under /mnt/pve."""
    node, folder = call.site.hypervisor.node, "/etc/systemd/system"
    try:
        files = [entry.name for entry in node.listdir(folder)]
    except FileNotFoundError:
        return []
    units = [name for name in sorted(files) if name.startswith("mnt-pve-") and name.endswith(".mount")]
    return [_mount(f"{folder}/{name}", node.read(f"{folder}/{name}").decode()) for name in units]


def _mount(path: str, text: str) -> dict[str, str]:
    facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {
        "unitfile": path,
        "path": facts.get("Where", ""),
        "device": facts.get("What", ""),
        "type": facts.get("Type", ""),
        "options": facts.get("Options", ""),
    }
