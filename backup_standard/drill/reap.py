"""Clean-up of what killed drills left: by their claims, never by looks alone.

A claim whose process still runs is somebody's drill under way and is let be. A guest in the reserved set without our
tag and without an empty stub's face is never touched: it is named, and a person decides.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backup_standard.drill import assembly, tasklogs, teardown
from backup_standard.drill.claims import Claim, Claims, standing_under
from backup_standard.drill.guard import Guard, is_ours, task_type, try_config
from backup_standard.drill.ports import Reader, Shell, Writer
from backup_standard.drill.remains import Search
from backup_standard.errors import MissingPrivilege
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.pve import Pve

LEFTOVERS = 10
"""Exit status when something remains."""

_MAKERS = {"qemu": ("qmcreate", "qmrestore"), "lxc": ("vzrestore",)}
"""The types of the tasks that make each kind of guest, in their order."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """What a sweep did. ``alive`` are claims of drills under way; ``left`` says what remains, in words."""

    found: tuple[Claim, ...]
    alive: tuple[Claim, ...]
    left: tuple[str, ...]


def sweep(
    inventory: Inventory, folder: Path, *, do_it: bool, say: Say, own_run: str | None = None, force: bool = False,
    kept: bool = False,
) -> Sweep:  # fmt: skip
    """Tear down what the standing claims under ``folder`` (the client's run folders) left behind.

    ``own_run``: only this run's claims, whoever holds them (the end of a run, when its workers are gone). ``force``
    takes claims from another machine, too, whose process cannot be looked at; ``kept`` copies that were left standing
    on purpose. Raises OperatorError when the site cannot be reached.
    """
    standing = [claim for claim in standing_under(folder) if own_run in {None, claim.run}]
    alive = [] if own_run else [claim for claim in standing if _is_alive(claim, force=force)]
    left: list[str] = []
    for claim in standing:
        if claim.kept and not kept:
            say(f"let be: {claim} was kept on purpose; backup-standard reap --inventory FILE --yes removes it")
        elif claim in alive:
            say(f"let be: {claim}, its drill is under way (process {claim.owner.pid} on {claim.owner.host})")
        else:
            left += _reap(inventory, claim, say) if do_it else _show(inventory, claim, say)
    return Sweep(tuple(standing), tuple(alive), tuple(left))


def _is_alive(claim: Claim, *, force: bool) -> bool:
    alive = claim.owner.alive()
    return not force if alive is None else alive


@contextmanager
def _tools(inventory: Inventory, claim: Claim) -> Iterator[tuple[Writer, Guard, Shell | None, Claim]]:
    """API, guard, node and the claim with its tasks; closed afterwards."""
    _section, token = assembly.drill_ground(inventory)
    with Pve(inventory.api, token) as reader:
        adopted = adopt(reader, claim, token.id)
    api, guard = assembly.writer(inventory, None, adopted=[adopted])
    client, shell = assembly.node_shell(inventory, claim.node)
    try:
        yield api, guard, shell, adopted
    finally:
        guard.close()
        api.close()
        if client:
            client.close()


def _reap(inventory: Inventory, claim: Claim, say: Say) -> list[str]:
    claims = Claims(claim.folder, claim.run)
    with _tools(inventory, claim) as (api, guard, shell, adopted):
        kept = [one for one in teardown.tear_down_all(api, guard, claims, [adopted], shell) if one]
    for remains in kept:
        say(f"left behind: {remains}")
    if not kept:
        say(f"gone: {claim}")
    return [str(remains) for remains in kept]


def _show(inventory: Inventory, claim: Claim, say: Say) -> list[str]:
    with _tools(inventory, claim) as (api, guard, shell, adopted):
        left = list(Search(api, shell, guard.ground.storage).of(adopted).left)
        ours = _whose(api, adopted)
    say(f"{claim}: {'; '.join(left) or 'nothing is left of it'}{ours}")
    return left


def _whose(api: Reader, claim: Claim) -> str:
    try:
        config = try_config(api, claim.node, claim.vmid, claim.kind)
    except MissingPrivilege:
        return " (a guest there that this token does not see is not a drill's: it will not be touched)"
    if config is None or is_ours(config, claim, stub_allowed=True):
        return ""
    return " (the guest there is not a drill's: it will not be touched)"


def adopt(api: Reader, claim: Claim, token: str) -> Claim:
    """The claim with the tasks that its process could not note any more, where exactly one of its type can be it.

    Those made this VMID or restored into it, and were started by this very token after the claim.
    """
    makers = _MAKERS[claim.kind]
    if [task_type(upid) for upid in claim.upids][-1:] == [makers[-1]]:
        return claim
    upids = [str(task["upid"]) for task in tasklogs.since(api, claim) if token in str(task["upid"])]
    found = [[upid for upid in upids if task_type(upid) == maker] for maker in makers]
    alone = [one[0] for one in found if len(one) == 1]
    return replace(claim, upids=(*claim.upids, *(upid for upid in alone if upid not in claim.upids)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``backup-standard reap``."""
    parser.add_argument("--inventory", type=Path, required=True, metavar="FILE", help="the client's inventory")
    parser.add_argument(
        "--run-dir", type=Path, default=Path("reports"), metavar="DIR", help="where runs are kept (default: reports)"
    )
    parser.add_argument("--force", action="store_true", help="take claims of other machines, too")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--dry-run", action="store_true", help="show what is left behind and touch nothing")
    either.add_argument("--yes", action="store_true", help="remove it")


def run(arguments: argparse.Namespace, say: Say) -> int:
    """``backup-standard reap``: 0 when nothing remains, 10 when something does."""
    inventory = load(arguments.inventory).inventory
    folder = arguments.run_dir.expanduser() / inventory.client
    done = sweep(inventory, folder, do_it=arguments.yes, say=say, force=arguments.force, kept=True)
    if not done.found:
        say(f"no drill left anything behind (claims under {folder})")
    return LEFTOVERS if done.left else 0
