"""An audit changes nothing: the lab's whole state is the same before and after, and no request writes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

import pytest

from backup_standard.collect import collect
from backup_standard.inventory.schema import Inventory
from lab.pve.dispatch import Answer, Request, answer
from lab.pve.site import Site
from tests import labsite


def state(lab: labsite.LabSite) -> dict[str, Any]:
    """Everything that a site is: /etc/pve, tasks, volumes, machines; files, mounts, units, network of the node."""
    site, machinery, node = lab.site, lab.hypervisor, lab.hypervisor.node
    return {
        "guests": {vmid: asdict(guest) for vmid, guest in site.guests.items()},
        "storages": site.storages,
        "jobs": site.jobs,
        "pools": {name: asdict(pool) for name, pool in site.pools.items()},
        "firewall": site.firewall,
        "datacenter": [site.datacenter, site.datacenter_firewall, site.vzdump_conf, site.ha_resources],
        "access": repr({name: vars(site.access)[name] for name in sorted(vars(site.access)) if name != "clock"}),
        "tasks": [[task.upid, task.status, task.endtime, list(task.log)] for task in site.tasks.all()],
        "volumes": {volid: disk.size for volid, disk in machinery.disks.items()},
        "machines": sorted(machinery.machines),
        "mounts": {
            point: {
                path: [entry.mode, entry.mtime, entry.folder, hashlib.sha256(entry.data).hexdigest()]
                for path, entry in sorted(filesystem.entries.items())
            }
            for point, filesystem in node.files.mounts.items()
        },
        "units": {name: vars(unit) for name, unit in node.host.services.items()},
        "network": repr(node.run(["ip", "-o", "addr"])),
        "journal": [[line.identifier, line.message] for line in node.log.entries],
    }


def test_an_audit_leaves_the_site_as_it_was(lab: labsite.LabSite, inventory: Inventory) -> None:
    collect(inventory)  # the node's own programs have then made what they make at their first use
    before = json.dumps(state(lab), default=str, sort_keys=True)
    collect(inventory)
    assert json.dumps(state(lab), default=str, sort_keys=True) == before


def test_an_audit_sends_no_request_that_could_write(
    lab: labsite.LabSite, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def reading_only(site: Site, request: Request) -> Answer:
        asked.append(request.method)
        if request.method != "GET" or request.ticket:
            return Answer(403, "this site may only be read, by a token", {"data": None})
        return answer(site, request)

    monkeypatch.setattr(lab.server, "answer", reading_only)
    facts = collect(inventory)
    assert set(asked) == {"GET"}
    assert len(asked) > len(inventory.guests)
    assert facts.gaps == ()


def test_the_state_that_is_compared_would_show_a_change(lab: labsite.LabSite) -> None:
    before = json.dumps(state(lab), default=str, sort_keys=True)
    lab.hypervisor.node.write("/mnt/backup/dump/left-behind", b"x")
    try:
        assert json.dumps(state(lab), default=str, sort_keys=True) != before
    finally:
        lab.hypervisor.node.unlink("/mnt/backup/dump/left-behind")
