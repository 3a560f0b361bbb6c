"""``--deep``: read the newest archives from end to end before the rules judge, where no drill proves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_standard.audit import next_runs
from backup_standard.audit.guest import Guest
from backup_standard.audit.site import Site
from backup_standard.drill.choices import NEWEST
from backup_standard.errors import OperatorError, Unknown
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Archive, Facts, Gap
from backup_standard.model.readings import ArchiveReading
from backup_standard.plugin import options

BANDWIDTH = 60
"""MiB a second: less than half of what a single hard disk gives."""
_MIB = 2**20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of deep readings to the suite's group."""
    group = parser.getgroup("backup standard")
    group.addoption(
        "--deep",
        action="store_true",
        help="read the newest archive of every mandatory guest from end to end on its node (VER-05): unpacked, checked "
        "and hashed in one pass, at low priority, never near a backup; not those that a passed drill proves",
    )
    group.addoption(
        "--deep-guest",
        metavar="VMID",
        type=int,
        action="append",
        default=[],
        help="read only this guest's archive; may be given several times; implies --deep",
    )
    group.addoption(
        "--deep-bandwidth",
        metavar="MIB",
        type=_bandwidth,
        default=float(BANDWIDTH),
        help=f"the most that --deep reads of a storage, in MiB per second (default: {BANDWIDTH})",
    )


def _bandwidth(text: str) -> float:
    """A positive number. ValueError else, which argparse turns into a message of its own."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def is_asked_for(config: pytest.Config) -> bool:
    """Whether the command line asks for readings, and for rules that judge them; a plan and a listing read nothing."""
    asked = config.getoption("--deep") or config.getoption("--deep-guest")
    only_told = config.option.collectonly or config.getoption("--plan")
    return bool(asked) and options.is_audit(config) and not only_told


def with_readings(
    config: pytest.Config, inventory: Inventory, facts: Facts, say: Callable[[str], None], commands: Path
) -> Facts:
    """The facts with the readings that the command line asks for. OperatorError for a guest that is not mandatory."""
    if not is_asked_for(config):
        return facts
    archives = list(_unproven(config, inventory, facts))
    try:
        jobs = next_runs.of(facts)
    except Unknown as unknown:
        return replace(facts, readings={_key(one): _not_begun(one, str(unknown)) for one in archives})
    from backup_standard.collect import deep, reading  # noqa: PLC0415 - HTTP and SSH load only when a site is read
    from backup_standard.hosts import Recorder  # noqa: PLC0415

    limits = reading.Limits(bandwidth=config.getoption("--deep-bandwidth") * _MIB)
    wish = deep.Wish(archives, jobs, limits)
    found: dict[str, ArchiveReading | Gap] = deep.read_archives(inventory, facts, wish, say, Recorder(commands))
    return replace(facts, readings=found)


def _key(archive: Archive) -> str:
    return f"{archive.node}/{archive.volid}"


def _not_begun(archive: Archive, reason: str) -> Gap:
    return Gap(f"whether {archive} is intact", f"not begun: {reason}")


def _unproven(config: pytest.Config, inventory: Inventory, facts: Facts) -> Iterator[Archive]:
    """The newest archives of the guests that are asked for, without those that a drill proves or will prove."""
    chosen, drilled = set(config.getoption("--deep-guest")), _to_be_drilled(config, inventory, facts)
    try:
        guests = Site(inventory, facts).guests
    except Unknown:  # every rule about a guest says so by itself
        return
    strangers = chosen - {guest.vmid for guest in guests}
    if strangers:
        named = ", ".join(map(str, sorted(strangers)))
        raise OperatorError(f"{named}: no mandatory guest", where="--deep-guest")
    for guest in guests:
        if (not chosen or guest.vmid in chosen) and (archive := _needs_reading(guest)) and archive.volid not in drilled:
            yield archive


def _needs_reading(guest: Guest) -> Archive | None:
    """The newest archive of a guest, None where there is none to be seen or a drill proves it."""
    try:
        newest = guest.newest_archive
    except Unknown:
        return None
    try:
        guest.prove_intact()
    except Unknown:
        return newest.archive if newest else None
    return None


def _to_be_drilled(config: pytest.Config, inventory: Inventory, facts: Facts) -> set[str]:
    """The archives that this run restores anyway."""
    if not options.is_drill(config) or config.getoption("--restore-point") != NEWEST:
        return set()
    from backup_standard.drill.plan import plan_drills  # noqa: PLC0415

    plans = plan_drills(inventory, facts).drills
    return {plan.archive.volid for plan in plans if plan.archive and not plan.refusal}
