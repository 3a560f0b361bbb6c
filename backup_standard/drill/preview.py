"""A run of drills before it is one: what each would do, need and take, and what is against it. Only reads.

It asks with the drill token, over a client that has no way to write, and on the node with commands that only look.
"""

from __future__ import annotations

import datetime as dt
import shlex
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

from backup_standard.collect import window
from backup_standard.drill import assembly, memory, node_commands, preflight, protection, rights, speed
from backup_standard.drill import restore as restoring
from backup_standard.drill.choices import Choices
from backup_standard.drill.claims import standing_under
from backup_standard.drill.gateway import address_of
from backup_standard.drill.plan import DrillPlan, Plan
from backup_standard.drill.ports import Reader, Shell
from backup_standard.drill.preflight import Surroundings
from backup_standard.errors import OperatorError, Refused
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from backup_standard.pve import Pve
from backup_standard.quantities import say_duration, say_size

Say = Callable[[str], None]
RUN = "RUN"
"""Stands for the name of the run that there is not yet."""


def show(inventory: Inventory, facts: Facts, plan: Plan, *, choices: Choices, folder: Path, say: Say) -> bool:
    """Say what a run would do; ``folder`` holds the client's earlier runs. Returns whether every drill could begin now.

    OperatorError where the inventory does not say how to drill, or the site does not answer.
    """
    _section, token = assembly.drill_ground(inventory)
    surroundings = assembly.surroundings(inventory, facts)
    speeds = speed.measured(folder)
    ready = True
    with ExitStack() as stack, Pve(inventory.api, token) as api:

        @cache
        def shell_of(node: str) -> Shell | None:
            client, shell = assembly.node_shell(inventory, node) if choices.gateway else (None, None)
            if client:
                stack.enter_context(closing(client))
            return shell

        for drill in plan.drills:
            against = _one(api, drill, surroundings, shell_of, say)
            say(f"    time      {speeds.expect(drill)}")
            for text in against:
                say(f"    AGAINST   {text}")
            ready = ready and not against
        for left_out in plan.not_covered:
            say(f"not drilled  {left_out}")
        for claim in standing_under(folder):
            say(f"left behind by an earlier run: {claim}")
        for line in _whole(plan, speeds, api, surroundings):
            say(line)
    return ready and bool(plan.drills)


def _one(
    api: Reader, drill: DrillPlan, surroundings: Surroundings, shell_of: Callable[[str], Shell | None], say: Say
) -> list[str]:
    say(f"drill  {drill}")
    size = say_size(drill.archive.size) if drill.archive and drill.archive.size else "size unknown"
    say(f"    archive   {drill.archive.volid if drill.archive else 'none'} ({size}; {drill.point})")
    if drill.protect:
        said = protection.BEFORE if drill.archive and drill.archive.protected else protection.MEANWHILE
        say(f"    protects  the archive: {said}")
    say(f"    space     {say_size(drill.disk_bytes)} of disks on {drill.storage}")
    say(f"    memory    {say_size(drill.memory_bytes)} on {drill.node}")
    shell = shell_of(drill.node)
    against = list(_against(api, drill, surroundings, shell, say))
    for argv in _commands(drill) if shell else ():
        say(f"    as root   {shlex.join(argv)}")
    return against


def _against(api: Reader, drill: DrillPlan, surroundings: Surroundings, shell: Shell | None, say: Say) -> Iterator[str]:
    try:
        seen = preflight.check(drill, api, surroundings, shell)
        for text in seen.get("not_proven_free", ()):
            say(f"    unproven  {text}")
    except Refused as refusal:
        yield refusal.what
    if drill.archive is None:
        return
    try:
        archived = restoring.read_archived(api, drill)
        decided = restoring.decide(archived, drill, RUN)
        for change in decided.changes:
            say(f"    changes   {' '.join(str(change).split())}")
        rights.require(api, drill, archived, decided)
    except OperatorError as problem:
        yield problem.what


def _commands(drill: DrillPlan) -> Iterator[node_commands.Argv]:
    """What would be run as root on the node, in its order."""
    vmid, settings = drill.temporary_vmid, drill.settings
    if settings.address is None:
        return
    own, _guest = address_of(vmid, settings.address, settings.gateway)
    yield from node_commands.make_bridge(vmid)
    yield from node_commands.make_gateway(vmid, own)
    yield node_commands.move_port(vmid, 0, drill.kind)
    yield from node_commands.remove_gateway(vmid)


def _whole(plan: Plan, speeds: speed.Speeds, api: Reader, surroundings: Surroundings) -> Iterator[str]:
    """Sums, and the next nightly run."""
    seconds = sum(speeds.expect(drill).duration.total_seconds() for drill in plan.drills)
    space = say_size(sum(drill.disk_bytes for drill in plan.drills))
    yield f"all {len(plan.drills)} drill(s): {say_duration(round(seconds))} one after another, {space} of disks at most"
    zone = zoneinfo.ZoneInfo(surroundings.timezone)
    runs = [run for job in surroundings.jobs if job.enabled for run in job.runs]
    for node in sorted({drill.node for drill in plan.drills}):
        needed = sum(drill.memory_bytes for drill in plan.drills if drill.node == node)
        free = memory.available(api, node)
        yield f"memory on {node}: {say_size(needed)} if all run at once; {say_size(free)} available"
        now = float(api.get(f"/nodes/{node}/time")["time"])
        ahead = [run for run in runs if run > now]
        if ahead:
            first = dt.datetime.fromtimestamp(min(ahead), tz=zone)
            out = first - window.QUIET_BEFORE
            yield f"next backup run: {first:%Y-%m-%d %H:%M}; drills begin until {out:%H:%M}, or after it"
            if now + seconds > out.timestamp():
                yield "    one after another, the drills would not all begin before that"
