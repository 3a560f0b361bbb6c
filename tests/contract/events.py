"""What happened on the node between recorded requests: each returns, or is, a step of a scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.pve.scheduler import Scheduler
from lab.waiting import until
from tests.contract import recorded_site as recorded
from tests.contract.damage import damaged_archives
from tests.contract.recorded_state import DUMP
from tests.contract.recordings import read

if TYPE_CHECKING:
    from tests.contract.replay import Replay

Event = Callable[["Replay"], None]
EVENING = "14-scheduled-and-misc"
SCHEDULED = (0x6B04AA05, 0x6B04AA41, 0x6B04AA7D, 0x6B04AAB9, 0x6B04AAF5, 0x6B04AB31)
"""When the job "tick" ran, as its recorded tasks tell."""


def booted(vmid: int) -> Event:
    return lambda replay: recorded.boot(replay.hypervisor, vmid)


def unit(vmid: int, unit: str, state: str) -> Event:
    def set_state(replay: Replay) -> None:
        replay.hypervisor.guest(vmid).host.services[unit].active = state

    return set_state


def note(name: str, text: str) -> Event:
    return lambda replay: replay.hypervisor.node.write(f"{DUMP}/{name}.notes", text.encode())


def lock(vmid: int, lock: str | None) -> Event:
    def change(replay: Replay) -> None:
        config = replay.site.guests[vmid].config
        if lock:
            config["lock"] = lock
        else:
            config.pop("lock", None)

    return change


def pace(seconds: float) -> Event:
    def change(replay: Replay) -> None:
        replay.hypervisor.pace = seconds

    return change


def copying(name: str) -> Event:
    """Wait until the backup that a request of this name started copies data."""

    def begun(replay: Replay) -> None:
        request = next(record for record in read("9.2", "11-offline-full-locks") if record.name == name)
        task = replay.site.tasks.get(replay.names[request.data])
        until(lambda: any("started backup task" in line for line in task.log), timeout=10, what=f"{name} to copy")

    return begun


def clock(moment: int) -> Event:
    """Time goes on to a moment, in seconds since the epoch."""
    return lambda replay: replay.set_clock(moment)


def then(*events: Event) -> Event:
    def both(replay: Replay) -> None:
        for event in events:
            event(replay)

    return both


def second_template(replay: Replay) -> None:
    """Away with the first copies; the archive of a later evening is there."""
    for vmid in (101, 102):
        guest = replay.site.guests.pop(vmid)
        if replay.hypervisor.is_running(vmid):
            replay.hypervisor.stop(vmid)
        replay.hypervisor.free(str(guest.config["scsi0"]).partition(",")[0])
    recorded.add_archive(replay.site, replay.hypervisor, "vzdump-qemu-100-2026_11_23-21_25_29.vma.zst")


def role(privileges: set[str]) -> Event:
    """The drill's role holds these privileges from now on."""

    def change(replay: Replay) -> None:
        replay.site.access.add_role("RestoreDrill", privileges)

    return change


def pruned(replay: Replay) -> None:
    """The prune whose request was not kept, only its task."""
    upid = "UPID:pve1:00001388:00081B70:6B04A928:prunebackups:301@prunelab:root@pam!suite:"
    request = next(record for record in read("9.2", "10-prune") if record.method == "DELETE")
    replay.set_clock(0x6B04A928)
    got = replay.send(type(request)(**{**vars(request), "auth": "root-token"}))
    replay.names[upid] = got.body["data"]
    replay.wait(upid)


def scheduled(replay: Replay) -> None:
    """Six evenings' runs of the job "tick", started by the scheduler itself."""
    site = replay.site
    site.jobs = {"nightly-tick": {"type": "vzdump", "schedule": "*:*", "enabled": 1, "vmid": "210", "mode": "snapshot",
                                  "storage": "backup-hdd", "compress": "zstd", "prune-backups": "keep-last=2",
                                  "notes-template": "{{guestname}}", "comment": "tick"}}  # fmt: skip
    scheduler = Scheduler(site)
    for moment in SCHEDULED:
        replay.set_clock(moment)
        for upid in scheduler._run("nightly-tick", site.jobs["nightly-tick"]):
            site.tasks.wait(upid)
            stamp = next(r for r in read("9.2", EVENING)[1].data if r["starttime"] == moment)
            replay.names[stamp["upid"]] = upid


def jobs(file: str, number: int) -> Event:
    """The jobs that a recorded list shows, as jobs.cfg holds them."""

    def change(replay: Replay) -> None:
        listed = read("9.2", file)[number].data
        replay.site.jobs = {job["id"]: {key: kept(value) for key, value in job.items() if key not in {"id", "next-run"}}
                            for job in listed}  # fmt: skip

    return change


def kept(value: Any) -> Any:
    return ",".join(f"{key}={part}" for key, part in value.items()) if isinstance(value, dict) else value


def auto_job(replay: Replay) -> None:
    """A job made without a name got one: the recorded name stands for it."""
    records = read(replay.site.version, "04-jobs")
    recorded_name = next(
        r.path.rpartition("/")[2] for r in records if r.path.count("-") == 4 and "included" not in r.path
    )
    here = next(name for name in replay.site.jobs if name.count("-") == 4 and len(name) == 36)
    replay.names[recorded_name] = here


def unplug(replay: Replay) -> None:
    replay.hypervisor.node.unplug_backup()


def plug(replay: Replay) -> None:
    replay.hypervisor.node.plug_backup()


def password(replay: Replay) -> None:
    replay.site.access.add_user("auditor@pve", "example-password")


def tiny(replay: Replay) -> None:
    recorded.mount_small(replay.hypervisor, "/mnt/tiny", 4096)


def damaged(replay: Replay) -> None:
    """The nine archives that were damaged by hand."""
    damaged_archives(replay.site, replay.hypervisor)
