"""What must change in a container's configuration before its copy may be started: a pure function of it.

Upstream (PVE/API2/LXC.pm create_vm, PVE/LXC/Create.pm): keys given in the restore call win over the archived ones, as
long as ``unique`` is not given too. Bind and device mounts make a restore by anybody but root fail, unless ``rootfs``
is given: then no archived mount point comes back, and each that is wanted must be given as well. ``lxc.*`` lines come
back for root alone. The rest comes back as it was, and ``hookscript`` and ``devN`` may be changed by root alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from backup_standard.drill import guestconfig
from backup_standard.drill.neutralise import Change, Neutralised, usual

Found = Mapping[str, str]

_GIB = 1 << 30
_NOT_IN_A_NEW_VOLUME = frozenset({"", "volume", "size"})
_KEPT_OF_A_CARD = ("hwaddr", "ip", "gw", "ip6", "gw6", "mtu", "host-managed")


def neutralise_container(config: Found, *, source: int, run: str, volid: str, bridge: str, storage: str) -> Neutralised:
    """Decide every change to the archived configuration of container ``source`` before its copy starts on ``bridge``.

    The host name stays, because services are keyed to it and the bridge is isolated; so do MAC and IP addresses.
    """
    always = usual(config, source=source, run=run, volid=volid, isolated=partial(_isolated, bridge=bridge))
    binds = dict(_binds(config))
    volumes, unsized = _volumes(config, storage) if binds else ({}, [])
    mounts = {key: (value, "named, so that no mount of the node comes back") for key, value in volumes.items()}
    raw = [key for key in config if key.startswith("lxc.")]
    gone = {**{key: f"would mount {path} of the node" for key, path in binds.items()}, **dict.fromkeys(raw, _RAW)}
    given = always | mounts
    changes = [Change(key, config.get(key, ""), value, why) for key, (value, why) in given.items()]
    changes += [Change(key, config[key], "", why) for key, why in gone.items()]
    return Neutralised(
        overrides={key: value for key, (value, _why) in given.items()},
        afterwards={},
        changes=tuple(change for change in changes if change.archived != change.value),
        refusals=(*_refusals(config), *unsized),
        kept=tuple(_kept(config, binds)),
        removed=tuple(gone),
    )


_RAW = "a raw setting of LXC, which a restore leaves out for everybody but root"


def _isolated(card: Mapping[str, str], bridge: str) -> str:
    kept = {key: card[key] for key in _KEPT_OF_A_CARD if key in card and key != "hwaddr"}
    mac = {"hwaddr": card["macaddr"]} if card.get("macaddr") else {}
    parts = {"name": card.get("name", "eth0"), "bridge": bridge, **mac, **kept, "type": "veth"}
    return ",".join(f"{key}={value}" for key, value in parts.items())


def _mounts(config: Found) -> Iterator[tuple[str, dict[str, str]]]:
    for key, value in config.items():
        if guestconfig.is_mount(key):
            properties = guestconfig.properties(value)
            yield key, {**properties, "": properties.get("volume", properties.get("", ""))}


def _binds(config: Found) -> Iterator[tuple[str, str]]:
    """The mount points that are a folder or device of the node, whose path begins with "/"."""
    return ((key, mount[""]) for key, mount in _mounts(config) if mount[""].startswith("/") and key != "rootfs")


def _volumes(config: Found, storage: str) -> tuple[dict[str, str], list[str]]:
    """Every mount that is a volume as a new one of its size on ``storage``; and what cannot be made so."""
    made: dict[str, str] = {}
    wrong: list[str] = []
    for key, mount in _mounts(config):
        if mount[""].startswith("/"):
            continue
        size = guestconfig.size_bytes(mount.get("size", ""))
        if not size:
            wrong.append(f"{key}: {config[key]!r} states no size, so its volume cannot be made")
            continue
        rest = [f"{name}={value}" for name, value in mount.items() if name not in _NOT_IN_A_NEW_VOLUME]
        made[key] = ",".join([f"{storage}:{size / _GIB:.10g}", *rest])
    return made, wrong


def _refusals(config: Found) -> Iterator[str]:
    if "hookscript" in config:
        yield (
            f"hookscript: {config['hookscript']!r} runs a script on the node whenever the container starts or stops; "
            "only root may remove it"
        )
    for key, value in config.items():
        if re.fullmatch(r"dev\d+", key):
            yield f"{key}: {value!r} would give the copy a device of the node; only root may remove it"
    root = dict(_mounts(config)).get("rootfs", {"": ""})[""]
    if root.startswith("/"):
        yield f"rootfs: {root!r} is a folder or device of the node, not a volume of a storage"
    if config.get("template") == "1":
        yield "template: the archive of a container template restores as a template, which cannot start"


def _kept(config: Found, binds: Mapping[str, str]) -> Iterator[str]:
    if "hostname" in config:
        yield f"hostname: {config['hostname']}, because services are keyed to it; tag and notes tell whose copy it is"
    if "features" in config:
        yield f"features: {config['features']}, which the system inside may need; its network leads nowhere"
    if config.get("unprivileged") != "1":
        yield "privileged, as archived: root inside is root of the node, with LXC's restrictions alone"
    if "startup" in config:
        yield "startup: only used by autostart, which is off"
    for key, mount in _mounts(config):
        if key not in {"rootfs", *binds} and mount.get("backup") != "1":
            yield f"{key}: comes back empty, because {mount.get('mp', 'it')} is not in the backup (backup=1 is not set)"
