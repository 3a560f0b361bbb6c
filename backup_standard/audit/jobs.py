"""A backup job as one node runs it: what the job leaves open comes from the storage and from the node's vzdump.conf."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backup_standard.audit import prune
from backup_standard.audit.retention import Retention
from backup_standard.errors import Unknown
from backup_standard.model import BackupJob, Facts, Node
from backup_standard.model.facts import known

_FIRST_RELEASE_WITHOUT_MAXFILES = 9
_COMPRESSIONS = {"1": "lzo", "0": "none", "": "none"}


def node_zone(facts: Facts, node: str) -> ZoneInfo:
    """The time zone in which a node runs its jobs. Unknown when it was not read."""
    if node not in facts.nodes:
        raise Unknown(f"the time zone of node {node}", reason="the node is not part of what was read")
    seen = known(facts.nodes[node])
    name = seen.timezone
    if not seen.online:
        raise Unknown(f"the time zone of node {node}", reason=f"node {node} is offline", need=f"node {node} online")
    if not name:
        raise Unknown(f"the time zone of node {node}", reason="the node did not tell it", need="Sys.Audit on /nodes")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise Unknown(
            f"the time zone of node {node}", reason=f"the node calls it {name}, which is no known zone"
        ) from None


def clock_of(facts: Facts, node: str) -> int:
    """A node's clock (epoch seconds) when the facts were taken; the moment of the reading where it was not read."""
    seen = facts.nodes.get(node)
    return seen.now if isinstance(seen, Node) and seen.now else int(facts.taken_at.timestamp())


@dataclass(frozen=True)
class JobOnNode:
    """One job on one node with its effective values: job, then storage, then vzdump.conf (upstream: PVE/VZDump.pm)."""

    job: BackupJob
    node: str
    facts: Facts

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def _defaults(self) -> Mapping[str, str]:
        return known(self.facts.defaults[self.node]) if self.node in self.facts.defaults else {}

    @property
    def zone(self) -> ZoneInfo:
        """The time zone the schedule is read in."""
        return node_zone(self.facts, self.node)

    @property
    def storage(self) -> str:
        """Where it writes to; without any setting Proxmox takes ``local``."""
        return self.job.storage or self.default_storage or "local"

    @property
    def default_storage(self) -> str:
        """Where a job without a storage writes on this node; "" where that is ``local`` and may not hold backups."""
        return self._defaults.get("storage", "")

    @property
    def compression(self) -> str:
        """One of zstd, gzip, lzo and none; Proxmox's own default is none."""
        value = self.job.compress if self.job.compress is not None else self._defaults.get("compress", "0")
        return _COMPRESSIONS.get(value, value)

    @property
    def retention(self) -> Retention:
        """The keep counts that apply: the first of job, storage, vzdump.conf that says anything, as a whole."""
        removes = self.job.remove is not False
        own = self._own_keep()
        if own:
            return Retention(own, f"job {self.id}", removes)
        storages = known(self.facts.storages)
        storage = storages.get(self.storage)
        if storage and storage.prune:
            return Retention(storage.prune, f"storage {storage.id}", removes)
        defaults = self._defaults.get("prune-backups", "")
        if defaults:
            return Retention(prune.parse_keep(defaults), f"the vzdump defaults of node {self.node}", removes)
        return Retention({"keep-all": 1}, "Proxmox's default, as nothing is set", removes)

    def _own_keep(self) -> Mapping[str, int] | None:
        """The job's own counts. ``maxfiles`` counts up to release 8; release 9 ignores what is left of it."""
        if self.job.prune:
            return self.job.prune
        number = str(self.job.raw.get("maxfiles", ""))
        major = re.match(r"\d+", self.facts.release)
        if not number.isdigit() or (major and int(major[0]) >= _FIRST_RELEASE_WITHOUT_MAXFILES):
            return None
        return {"keep-last": int(number)} if int(number) else {"keep-all": 1}

    @property
    def is_local_to_node(self) -> bool:
        """Whether it runs on this node at all."""
        return self.job.node in {None, "", self.node}

    @property
    def mode(self) -> str:
        """How it backs up a running guest: snapshot, suspend or stop."""
        return self.job.raw.get("mode") or self._defaults.get("mode") or self.job.mode or "snapshot"

    @property
    def repeats_missed(self) -> bool:
        """Whether it makes up for missed runs, once, when the node is up again."""
        return self.job.raw.get("repeat-missed", "0") == "1"

    def command_for_companion(self, schedule: str, vmid: int) -> str:
        """The command that creates a second job like this one for the night that summer time takes away."""
        return self.command_as(f"summertime-vm{vmid}", schedule, vmid)

    def command_as(self, job_id: str, schedule: str, vmid: int) -> str:
        """The command that creates a job like this one for one guest."""
        words = ["pvesh", "create", "/cluster/backup", "--id", job_id, "--schedule", schedule]
        words += ["--vmid", str(vmid), "--storage", self.storage, "--mode", self.job.mode or "snapshot"]
        words += ["--compress", "zstd", "--prune-backups", prune.say_keep(self.retention.keep)]
        return shlex.join(words)

    def __str__(self) -> str:
        return str(self.job)
