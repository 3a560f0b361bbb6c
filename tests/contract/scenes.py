"""The state each recording began with, and what happened on the node between its requests.

Events run before the first request of their name: shell commands of whoever recorded, a guest that had booted by then,
a disk that was pulled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.contract.events import (
    EVENING,
    Event,
    auto_job,
    booted,
    clock,
    copying,
    damaged,
    jobs,
    lock,
    note,
    pace,
    password,
    plug,
    pruned,
    role,
    scheduled,
    second_template,
    then,
    tiny,
    unit,
    unplug,
)
from tests.contract.prunelab import archives as prunelab_archives
from tests.contract.recorded_site import Stage

EARLY = {
    "Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.Audit", "Pool.Audit", "SDN.Use",
    "Sys.Audit", "VM.Allocate", "VM.Audit", "VM.Backup", "VM.Config.CPU", "VM.Config.Disk",
    "VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options",
    "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted", "VM.PowerMgmt",
}  # fmt: skip
DRILL = (EARLY - {"Datastore.Allocate"}) | {"VM.Clone", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console"}
EIGHT = (EARLY - {"Datastore.Allocate", "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"}) | {"VM.Monitor"}
FIRST = tuple(
    f"vzdump-qemu-{name}.vma.zst"
    for name in (
        "100-2026_11_23-20_46_18",
        "200-2026_11_23-20_46_15",
        "210-2026_11_23-20_46_24",
        "220-2026_11_23-20_46_27",
    )
)
TEMPLATE = "vzdump-qemu-100-2026_11_23-20_47_46.vma.zst"
FIRST_EIGHT = tuple(
    f"vzdump-qemu-{name}.vma.zst"
    for name in (
        "100-2026_11_23-21_22_30",
        "200-2026_11_23-21_22_28",
        "210-2026_11_23-21_22_33",
        "220-2026_11_23-21_22_36",
    )
)
TEMPLATE_EIGHT = "vzdump-qemu-100-2026_11_23-21_22_43.vma.zst"
LEFT_BEHIND = {101: 100, 102: 100, 201: 200}


@dataclass(frozen=True)
class Scene:
    """A recording's beginning, its events, the requests whose task goes on, and recorded names that differ here."""

    stage: Stage
    events: Mapping[str, Event] = field(default_factory=dict)
    unawaited: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)


OFFLINE: Mapping[str, Event] = {
    "config of locked 202": lock(202, "backup"),
    "stop 202": lock(202, None),
    "concurrent 1": pace(0.05),
    "tasks active": copying("concurrent 1"),
    "concurrent 1 task status": pace(0),
    "backup to be aborted": then(booted(200), pace(0.05)),
    "abort task": copying("backup to be aborted"),
    "aborted task status": pace(0),
    "create tiny": tiny,
    "unmounted GET /nodes/pve1/storage": unplug,
    "remounted status": plug,
}
DRILLED = {"agent ping up": booted(201)}
MATRIX = [
    "Datastore.Audit", "Datastore.AllocateSpace", "Sys.Audit", "VM.Audit", "VM.Allocate", "VM.Config.Disk",
    "VM.Config.Network", "VM.Config.Options", "VM.Config.HWType", "VM.Config.Memory", "VM.PowerMgmt",
    "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted", "VM.Backup", "SDN.Use", "Pool.Audit",
]  # fmt: skip
LZO, ZSTD = "2026_11_23-21_00_49.vma.lzo", "2026_11_23-21_00_49.vma.zst"
NOTED = note("vzdump-qemu-200-2026_11_23-20_46_15.vma.zst", "db-prod on pve1 (200)")
RENOTED = note("vzdump-qemu-200-2026_11_23-20_46_15.vma.zst", "line1\nline2 äö")
TEMPLATE_NOTED = note(TEMPLATE, "web-template")

SCENES: Mapping[tuple[str, str], Scene] = {
    ("9.2", "01-basics"): Scene(
        Stage(EARLY, template=False, grown=False, tokens=False)
    ),
    ("9.2", "01b-basics"): Scene(Stage(DRILL, archives=(*FIRST, TEMPLATE))),
    ("9.2", "02-vzdump"): Scene(Stage(EARLY, template=False, grown=False)),
    ("9.2", "03-restore-drill"): Scene(
        Stage(EARLY, copies={101: 100, 102: 100}, running=(200, 102), archives=FIRST, grown=False),
        DRILLED,
    ),
    ("9.2", "04-jobs"): Scene(
        Stage(DRILL - {"VM.Clone"}, copies=LEFT_BEHIND, running=(200, 102, 201), grown=False),
        {"pool create": auto_job},
    ),
    ("9.2", "05-template"): Scene(
        Stage(EARLY, template=False, archives=FIRST, grown=False),
        {"restore template 100->101 again": second_template, "clone osinfo": booted(102)},
    ),
    ("9.2", "06-schedule-analyze"): Scene(Stage(EARLY)),
    ("9.2", "07-failures"): Scene(
        Stage(EARLY, copies=LEFT_BEHIND, running=(200, 102, 201), archives=FIRST, grown=False),
        {"content listing with corrupt archives": damaged, "stop 201": NOTED},
    ),
    ("9.2", "09-storage-and-content"): Scene(
        Stage(EARLY - {"Datastore.Allocate"}, archives=(*FIRST, TEMPLATE), grown=False),
        {"volume attributes": then(NOTED, TEMPLATE_NOTED)},
    ),
    ("9.2", "10-prune"): Scene(
        Stage(EARLY | {"Datastore.Allocate"}, archives=(*FIRST, TEMPLATE)),
        {"dry-run keep-last=3,keep-weekly=2 vmid=300 type=qemu": prunelab_archives, "real prune as driller": pruned},
    ),
    ("9.2", "11-offline-full-locks"): Scene(
        Stage(DRILL, archives=(*FIRST, TEMPLATE)),
        {**OFFLINE, "restore with start=1 and overrides": then(RENOTED, TEMPLATE_NOTED)},
        frozenset({"concurrent 1", "concurrent 2", "backup to be aborted"}),
    ),
    ("9.2", "13-permission-matrix"): Scene(
        Stage(DRILL, archives=("vzdump-qemu-200-2026_11_23-20_46_15.vma.zst", f"vzdump-qemu-200-{ZSTD}")),
        {"[all] list backups": then(RENOTED, jobs("13-permission-matrix", 2)),
         "[no-VM.Config.Network] jobs": clock(1795467900),
         **{f"[no-{priv}] list backups": role(DRILL - {priv}) for priv in MATRIX}},
        aliases={LZO: ZSTD},
    ),
    ("9.2", "14-scheduled-and-misc"): Scene(
        Stage(DRILL, archives=()),
        {"tasks vzdump scheduled": scheduled, "job list next-run": jobs(EVENING, 6), "jobs now": jobs(EVENING, 7),
         "jobs final": jobs(EVENING, 8)},
    ),
    ("9.2", "16-access"): Scene(Stage(DRILL), {"login pve ok": password}),
    ("9.2", "18-extra"): Scene(
        Stage(DRILL, running=(), archives=(*FIRST, TEMPLATE)),
        {"network-get-interfaces 200": booted(200),
         "ping with agent stopped": unit(200, "qemu-guest-agent.service", "inactive")},
    ),
    ("9.2", "20-final-drill-as-driller"): Scene(
        Stage(DRILL, archives=("vzdump-qemu-200-2026_11_23-21_25_33.vma.zst",)),
        {"network-get-interfaces up": booted(201), "exec": unit(201, "ssh.service", "activating")},
    ),
    ("8.4", "01b-basics"): Scene(
        Stage(EIGHT, copies=LEFT_BEHIND, running=(200, 102, 201), archives=FIRST_EIGHT, prunelab=False)
    ),
    ("8.4", "02-vzdump"): Scene(Stage(EIGHT, grown=False)),
    ("8.4", "03-restore-drill"): Scene(
        Stage(EIGHT, copies={101: 100, 102: 100}, running=(200, 102), archives=FIRST_EIGHT, grown=False),
        DRILLED,
    ),
    ("8.4", "04-jobs"): Scene(
        Stage(EIGHT, copies=LEFT_BEHIND, running=(200, 102, 201), grown=False),
        {"pool create": auto_job},
    ),
    ("8.4", "05-template"): Scene(
        Stage(EIGHT, archives=FIRST_EIGHT, grown=False)
    ),
    ("8.4", "07-failures"): Scene(
        Stage(EIGHT, copies=LEFT_BEHIND, running=(200, 102, 201), archives=FIRST_EIGHT, prunelab=False),
        {"content listing with corrupt archives": damaged,
         "stop 201": note("vzdump-qemu-200-2026_11_23-21_22_28.vma.zst", "db-prod on pve8 (200)")},
    ),
    ("8.4", "09-storage-and-content"): Scene(
        Stage(EIGHT, archives=(*FIRST_EIGHT, TEMPLATE_EIGHT), prunelab=False),
        {"content as none": then(
            damaged, note("vzdump-qemu-200-2026_11_23-21_22_28.vma.zst", "db-prod on pve8 (200)"),
            note(TEMPLATE_EIGHT, "web-template"))},
    ),
    ("8.4", "16-access"): Scene(Stage(EIGHT, prunelab=False), {"login pve ok": password}),
}  # fmt: skip
