"""The jobs of vzdump.cron as the API lists them (derived from PVE/VZDump/Common.pm)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from lab.pve import cronjobs
from lab.pve.releases import Version
from tests import labsite
from tests.labsite import LabSite

HEAD = '# cluster wide vzdump cron schedule\n# Automatically generated file - do not edit\n\nPATH="/usr/sbin"\n\n'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSite]:
    """The lab's site, its guests off."""
    with labsite.running(tmp_path_factory.mktemp("lab"), version="8.4", guests=False) as running:
        yield running


@pytest.fixture
def write(lab: LabSite) -> Iterator[Any]:
    """Writes the file; it is gone afterwards."""

    def put(*lines: str) -> str:
        text = HEAD + "".join(f"{line}\n" for line in lines)
        lab.hypervisor.node.write(cronjobs.FILE, text.encode())
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    yield put
    lab.hypervisor.node.unlink(cronjobs.FILE)


def listed(lab: LabSite) -> list[dict[str, Any]]:
    return [one for one in lab.data("GET", "/cluster/backup") if ":" in one["id"]]


def test_they_come_first_with_times_as_text_and_an_id_that_changes_with_the_file(lab: LabSite, write: Any) -> None:
    digest = write("0 2 * * *           root vzdump 210 --storage backup-hdd --prune-backups keep-last=3 --maxfiles 7")
    first, *_ = every = lab.data("GET", "/cluster/backup")
    assert first == {
        "id": f"{digest}:1", "starttime": "02:00", "dow": "mon,tue,wed,thu,fri,sat,sun", "schedule": "02:00",
        "enabled": 1, "vmid": "210", "storage": "backup-hdd", "prune-backups": {"keep-last": "3"}, "maxfiles": "7",
    }  # fmt: skip
    assert len(every) == 6
    assert lab.data("GET", f"/cluster/backup/{digest}:1") == first
    (child,) = lab.data("GET", f"/cluster/backup/{digest}:1/included_volumes")["children"]
    assert child["id"] == 210


@pytest.mark.parametrize(
    ("line", "schedule"),
    [
        ("30 1 * * 1,3,7 root vzdump 210", "mon,wed,sun 01:30"),
        ("5 4 * * mon-wed root /usr/bin/vzdump 210", "mon,tue,wed 04:05"),
        ("0 2 * * 0,1,2,3,4,5,6 root vzdump --all", "02:00"),
    ],
)
def test_days_and_minutes_become_a_schedule(lab: LabSite, write: Any, line: str, schedule: str) -> None:
    write(line)
    (one,) = listed(lab)
    assert one["schedule"] == schedule


def test_a_line_that_is_switched_off_is_a_job_that_is_off(lab: LabSite, write: Any) -> None:
    write("0 2 * * * root #vzdump 210 220 --quiet 1 --mailto a@example,b@example")
    (one,) = listed(lab)
    assert (one["enabled"], one["vmid"], one["quiet"]) == ("", "210,220", 1)


@pytest.mark.parametrize(
    "line",
    [
        "0 2 * * * root vzdump 210 --no-such-option 1",
        "0 2 1 * * root vzdump 210",
        "0 2 * * someday root vzdump 210",
        "0 2 * * * backup vzdump 210",
        "0 2 * * * root vzdump 210 --mode fast",
        "0 2 * * * root vzdump 210 --script 'unended",
    ],
)
def test_what_is_not_understood_is_no_job(lab: LabSite, write: Any, line: str) -> None:
    write(line)
    assert listed(lab) == []


@pytest.mark.parametrize(("version", "known"), [("7.4", True), ("9.2", False)])
def test_maxfiles_is_an_option_up_to_8(tmp_path: Any, version: Version, *, known: bool) -> None:
    with labsite.running(tmp_path, version=version, guests=False) as site:
        site.hypervisor.node.write(cronjobs.FILE, b"0 2 * * * root vzdump 210 --maxfiles 7\n")
        assert [one.get("maxfiles") for one in listed(site)] == (["7"] if known else [])


def test_a_guest_of_such_a_job_counts_as_backed_up(lab: LabSite, write: Any) -> None:
    lab.data("DELETE", "/cluster/backup/nightly-vm210", "root")
    assert [one["vmid"] for one in lab.data("GET", "/cluster/backup-info/not-backed-up")] == [210]
    write("0 2 * * * root vzdump 210")
    assert lab.data("GET", "/cluster/backup-info/not-backed-up") == []
