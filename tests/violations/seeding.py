"""How violations are seeded in the lab's site in memory, and how all of it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

from lab.memory_node import MemoryNode
from lab.pve.tasks import Task, closing_line
from tests.labsite import LabSite

Seed = Callable[[LabSite], None]
DUMP = "/mnt/backup/dump"
NIGHT = 86400


@contextmanager
def seeded(lab: LabSite, seed: Seed) -> Iterator[None]:
    """The site with that seed in it; afterwards it is as it was before."""
    put_back = [*_of_site(lab), *_of_node(lab.hypervisor.node)]
    try:
        seed(lab)
        yield
    finally:
        for undo in put_back:
            undo()


def _kept(collection: dict[Any, Any]) -> Callable[[], None]:
    before = deepcopy(collection)

    def undo() -> None:
        collection.clear()
        collection.update(before)

    return undo


def _of_site(lab: LabSite) -> list[Callable[[], None]]:
    site = lab.site
    # the store gives its tasks only as copies of its list; what a seed adds or changes is in the store itself
    tasks, told = site.tasks._tasks, {upid: replace(task, log=list(task.log)) for upid, task in _tasks(lab).items()}

    def undo() -> None:
        tasks.clear()
        tasks.update(told)

    zone = site.timezone
    collections = (site.jobs, site.storages, site.guests, site.pools, site.vzdump_conf)
    return [*map(_kept, collections), undo, lambda: setattr(site, "timezone", zone)]


def _tasks(lab: LabSite) -> dict[str, Task]:
    return {task.upid: task for task in lab.site.tasks.all()[::-1]}


def _of_node(node: MemoryNode) -> list[Callable[[], None]]:
    mounts, services, extra = node.files.mounts, node.host.services, node.host.extra
    shapes = {id(one): {**vars(one), "entries": dict(one.entries)} for one in mounts.values()}
    mounted, disks, lines, skew = dict(mounts), list(node.block.disks), list(node.log.entries), node.skew
    held = {id(disk): disk.holds for disk in disks}
    units, known = {name: replace(unit) for name, unit in services.items()}, dict(extra)

    def undo() -> None:
        for collection, before in ((mounts, mounted), (services, units), (extra, known)):
            collection.clear()
            collection.update(before)  # type: ignore[call-overload]
        for filesystem in mounted.values():
            vars(filesystem).update(shapes[id(filesystem)])
        node.block.disks[:] = disks
        for disk in disks:
            disk.holds = held[id(disk)]
        node.log.entries[:] = lines
        node.skew = skew

    return [undo]


def several(*seeds: Seed) -> Seed:
    """One seed after the other."""

    def seed(lab: LabSite) -> None:
        for one in seeds:
            one(lab)

    return seed


# --- through the API, as an administrator would ---------------------------------------------------------------


def job(of: int = 210, **changes: object) -> Seed:
    """A changed job of a guest; None takes an option away."""

    def seed(lab: LabSite) -> None:
        given = {key.replace("_", "-"): value for key, value in changes.items()}
        wanted = {key: value for key, value in given.items() if value is not None}
        dropped = ",".join(key for key, value in given.items() if value is None)
        lab.data("PUT", f"/cluster/backup/nightly-vm{of}", "root", **wanted, **({"delete": dropped} if dropped else {}))

    return seed


def no_job(*vmids: int) -> Seed:
    """The job of a guest is gone."""

    def seed(lab: LabSite) -> None:
        for vmid in vmids:
            lab.data("DELETE", f"/cluster/backup/nightly-vm{vmid}", "root")

    return seed


def new_job(name: str, **options: object) -> Seed:
    """One more job, with the options of the policy where nothing else is said; None leaves one out.

    Before 8 it has to say who gets mail, as the lab's own jobs do there.
    """

    def seed(lab: LabSite) -> None:
        policy = {"mailto": "root"} if lab.site.major < 8 else {}
        policy |= {
            "schedule": "02:00", "storage": "backup-hdd", "compress": "zstd", "mode": "snapshot",
            "prune_backups": "keep-daily=14", "enabled": 1,
        }  # fmt: skip
        given = {key.replace("_", "-"): value for key, value in (policy | options).items() if value is not None}
        lab.data("POST", "/cluster/backup", "root", id=name, **given)

    return seed


def config(vmid: int = 210, **lines: object) -> Seed:
    """Other lines in the configuration of a guest, as its file on the node holds them; None takes one away."""

    def seed(lab: LabSite) -> None:
        file = lab.site.guests[vmid].config
        file.update({key: value for key, value in lines.items() if value is not None})  # type: ignore[misc]
        for key in [key for key, value in lines.items() if value is None]:
            file.pop(key, None)

    return seed


def storage(name: str = "backup-hdd", **changes: object) -> Seed:
    """A changed or new definition in storage.cfg; None takes an option away."""

    def seed(lab: LabSite) -> None:
        section = lab.site.storages.setdefault(name, {})
        section.update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            section.pop(key, None)

    return seed


# --- archives and runs ----------------------------------------------------------------------------------------


def archives(lab: LabSite, vmid: int) -> list[str]:
    """The paths of a guest's archives, oldest first."""
    names = sorted(file.name for file in lab.hypervisor.node.listdir(DUMP))
    return [f"{DUMP}/{name}" for name in names if f"-{vmid}-" in name and name.endswith((".vma.zst", ".tar.zst"))]


def gone(vmid: int = 210, *, newest: int | None = None, oldest: int | None = None) -> Seed:
    """Archives of a guest are deleted: so many of the newest or oldest, all when neither is given."""

    def seed(lab: LabSite) -> None:
        found = archives(lab, vmid)
        doomed = found[-newest:] if newest else found[:oldest] if oldest else found
        for path in doomed:
            lab.hypervisor.node.unlink(path)

    return seed


def content(change: Callable[[bytes], bytes], vmid: int = 210) -> Seed:
    """Another content of the newest archive."""

    def seed(lab: LabSite) -> None:
        node, path = lab.hypervisor.node, archives(lab, vmid)[-1]
        node.write(path, change(node.read(path)), node.files.entry(path).mtime)

    return seed


def file(path: str, data: bytes = b"x" * 1000, age: int = NIGHT) -> Seed:
    """A file more on the node; a bare name lies in the dump folder. ``age`` in seconds."""

    def seed(lab: LabSite) -> None:
        node, whole = lab.hypervisor.node, path if path.startswith("/") else f"{DUMP}/{path}"
        node.makedirs(whole.rsplit("/", 1)[0])
        node.write(whole, data, node.now() - age)

    return seed


def _backups(lab: LabSite) -> list[Task]:
    return [task for task in lab.site.tasks.all() if task.type == "vzdump"]


def latest(lab: LabSite, vmid: int = 210) -> Task:
    """The task of a guest's newest run."""
    return max((task for task in _backups(lab) if task.id == str(vmid)), key=lambda task: task.starttime)


def ended(status: str, *more: str, keep: int | None = None, vmid: int = 210) -> Seed:
    """The newest run of a guest ended otherwise: ``keep`` lines of its log, then these, and no closing "OK"."""

    def seed(lab: LabSite) -> None:
        task = latest(lab, vmid)
        closing = [] if status == "unexpected status" else [closing_line(status)]
        task.status, task.log[:] = status, [*task.log[:-1][:keep], *more, *closing]

    return seed


def logged(needle: str, *more: str, vmid: int = 210) -> Seed:
    """Lines more in the log of the newest run, after the one that holds ``needle``."""

    def seed(lab: LabSite) -> None:
        log = latest(lab, vmid).log
        at = next(number for number, line in enumerate(log) if needle in line)
        log[at + 1 : at + 1] = list(more)

    return seed


# --- the node -------------------------------------------------------------------------------------------------


def node(change: Callable[[MemoryNode], object]) -> Seed:
    """Something is different on the node."""

    def seed(lab: LabSite) -> None:
        change(lab.hypervisor.node)

    return seed


def unit(name: str, **changes: str) -> Seed:
    """A unit of the node is in another state."""

    def seed(lab: LabSite) -> None:
        services = lab.hypervisor.node.host.services
        services[name] = replace(services[name], **changes)

    return seed
