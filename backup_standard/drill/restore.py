"""Restore: one POST with every override in it, its task watched by UPID, then the guest itself looked at."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backup_standard.drill import configuration, guestconfig, placeholder
from backup_standard.drill.claims import Claims
from backup_standard.drill.lxc_neutralise import neutralise_container
from backup_standard.drill.neutralise import Neutralised, neutralise
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.ports import Reader, Writer
from backup_standard.errors import ApiError, Refused

Percent = Callable[[int], None]

_PROGRESS = re.compile(r"progress (\d+)% \(read (\d+) bytes")
_TOTAL = re.compile(r"[Tt]otal bytes read:? (\d+)")


@dataclass(frozen=True)
class Restored:
    """A finished restore: the guest to boot, bytes of disk written, seconds it took."""

    vmid: int
    upids: tuple[str, ...]
    bytes: int | None
    seconds: float
    warnings: tuple[str, ...]
    cloned_from: int | None = None


def read_archived(api: Reader, plan: DrillPlan) -> dict[str, str]:
    """The configuration inside the archive."""
    return guestconfig.parse(str(api.get(f"/nodes/{plan.node}/vzdump/extractconfig", volume=plan.volid)))


def decide(archived: Mapping[str, str], plan: DrillPlan, run: str) -> Neutralised:
    """What changes in the copy; Refused by name when something cannot be made harmless."""
    if plan.kind == "lxc":
        decided = neutralise_container(
            archived, source=plan.vmid, run=run, volid=plan.volid, bridge=plan.bridge, storage=plan.storage
        )
    else:
        decided = neutralise(archived, source=plan.vmid, run=run, volid=plan.volid, bridge=plan.bridge)
    if decided.refusals:
        raise Refused(
            f"the copy of guest {plan.vmid} cannot be made harmless: {'; '.join(decided.refusals)}",
            next_step="drill this guest on a node without production, or take the setting out of the guest",
        )
    return decided


def restore(
    api: Writer, claims: Claims, plan: DrillPlan, decided: Neutralised, *, timeout: float, percent: Percent,
) -> Restored:  # fmt: skip
    """Restore the archive into the claimed temporary VMID. TaskFailed with the log's tail, or what the API refuses.

    With a pool, an empty guest in it is made first and restored over (see :mod:`backup_standard.drill.placeholder`).

    Where the call refuses ``template=0``, the archive is restored as a template and a full clone of it is what boots.
    """
    params: dict[str, Any] = {
        "vmid": plan.temporary_vmid,
        **({"ostemplate": plan.volid, "restore": 1} if plan.kind == "lxc" else {"archive": plan.volid}),
        "storage": plan.storage,
        **({"pool": plan.pool} if plan.pool else {}),
        **decided.overrides,
    }
    path = f"/nodes/{plan.node}/{plan.kind}"
    if placeholder.is_wanted(plan):
        placeholder.make(api, claims, plan, decided.overrides)
        params["force"] = 1
    try:
        upid = str(api.write("POST", path, params))
    except ApiError as refused:
        if "template" not in refused.parameters or plan.clone_vmid is None:
            raise
        del params["template"]  # the call was refused as a whole, so this is no second restore
        upid = str(api.write("POST", path, params))
    claims.add_task(plan.temporary_vmid, upid)
    started = time.monotonic()
    done = api.wait_task(upid, timeout=timeout, tick=_progress(api, upid, percent))
    seconds = time.monotonic() - started
    first = Restored(plan.temporary_vmid, (upid,), _bytes_read(done.log), seconds, _warnings(done.log))
    config = api.get(f"{path}/{first.vmid}/config")
    claims.add_volumes(first.vmid, guestconfig.own_volumes(guestconfig.texts(config), first.vmid))
    if str(config.get("template", "0")) == "1" and plan.clone_vmid is not None:
        return _clone(api, claims, plan, first, decided, timeout=timeout)
    return first


def finish(api: Writer, path: str, restored: Restored, decided: Neutralised) -> None:
    """What a restore cannot override: media, watchdog, and the cards of a clone; the guest is still powered off."""
    params: dict[str, Any] = {key: value for key, value in decided.afterwards.items() if value}
    removed = [key for key, value in decided.afterwards.items() if not value]
    if removed:
        params["delete"] = ",".join(removed)
    if restored.cloned_from:
        params |= {key: value for key, value in decided.overrides.items() if key.startswith("net")}
    if params:
        api.write("PUT", f"{path}/config", params)


def look(api: Reader, path: str, archived: Mapping[str, str], decided: Neutralised) -> list[str]:
    """What the restored guest at an API path lacks against its archive; a task's OK is no proof. Empty when nothing.

    A volume of this VMID that was there before would come back as ``unusedN``: it is named, too.
    """
    config = guestconfig.texts(api.get(f"{path}/config"))
    missing = [
        f"disk {key} is missing"
        for key, _value in guestconfig.drives(archived)
        if not guestconfig.is_cdrom(archived[key])
        and "backup=0" not in archived[key]
        and key not in {*config, *decided.removed}
    ]
    differing = [
        f"{key} is {config.get(key, '(unset)')!r}, not {value!r}"
        for key, value in decided.overrides.items()
        if key != "description" and not _same(key, config.get(key, ""), value)
    ]
    leftovers = [f"{key} is a volume from before: {value}" for key, value in config.items() if key.startswith("unused")]
    returned = [f"{key} came back: {config[key]}" for key in decided.removed if key in config]
    changed = configuration.losses(archived, config)
    pending = [item["key"] for item in api.get(f"{path}/pending") if "pending" in item or "delete" in item]
    waiting = [f"the change of {key} is pending" for key in pending]
    return [*missing, *differing, *returned, *changed, *leftovers, *waiting]


def _clone(
    api: Writer, claims: Claims, plan: DrillPlan, first: Restored, decided: Neutralised, *, timeout: float,
) -> Restored:  # fmt: skip
    assert plan.clone_vmid is not None
    claims.claim(plan.clone_vmid, source=plan.vmid, node=plan.node)
    params: dict[str, Any] = {
        "newid": plan.clone_vmid,
        "full": 1,
        "name": decided.overrides["name"],
        "description": decided.overrides["description"],
        "storage": plan.storage,
        **({"pool": plan.pool} if plan.pool else {}),
    }
    started = time.monotonic()
    upid = str(api.write("POST", f"/nodes/{plan.node}/qemu/{first.vmid}/clone", params))
    claims.add_task(plan.clone_vmid, upid)
    done = api.wait_task(upid, timeout=timeout)
    config = guestconfig.texts(api.get(f"/nodes/{plan.node}/qemu/{plan.clone_vmid}/config"))
    claims.add_volumes(plan.clone_vmid, guestconfig.own_volumes(config, plan.clone_vmid))
    return Restored(
        plan.clone_vmid,
        (*first.upids, upid),
        first.bytes,
        first.seconds + time.monotonic() - started,
        (*first.warnings, *_warnings(done.log)),
        cloned_from=first.vmid,
    )


def _same(key: str, found: str, wanted: str) -> bool:
    if key.startswith("net"):
        return guestconfig.cards({key: found}) == guestconfig.cards({key: wanted}) or _only_mac_new(key, found, wanted)
    if guestconfig.is_mount(key):
        return _mount(found) == _mount(wanted)
    if wanted == "0":
        return found in {"", "0"}
    return found == wanted


def _mount(value: str) -> dict[str, str]:
    """A container's mount without what is new in every restore: its storage and options."""
    parts = guestconfig.properties(value)
    return {**{key: text for key, text in parts.items() if key != "size"}, "": parts.get("", "").partition(":")[0]}


def _only_mac_new(key: str, found: str, wanted: str) -> bool:
    (new,), (asked,) = guestconfig.cards({key: found}).values(), guestconfig.cards({key: wanted}).values()
    return "macaddr" not in asked and {**new, "macaddr": ""} == {**asked, "macaddr": ""}


def _progress(api: Writer, upid: str, percent: Percent) -> Callable[[Mapping[str, Any], float], None]:
    def tick(_status: Mapping[str, Any], _elapsed: float) -> None:
        matches = [match for match in map(_PROGRESS.match, api.log(upid)) if match]
        if matches:
            percent(int(matches[-1][1]))

    return tick


def _bytes_read(log: Sequence[str]) -> int | None:
    totals = [int(match[1]) for match in map(_TOTAL.search, log) if match]
    reads = [int(match[2]) for match in map(_PROGRESS.match, log) if match]
    return next(reversed(totals or reads), None)


def _warnings(log: Sequence[str]) -> tuple[str, ...]:
    return tuple(line for line in log if line.startswith(("WARN", "warn", "start failed")))
