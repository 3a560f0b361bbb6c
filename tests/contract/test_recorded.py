"""The lab answers what was recorded of a running Proxmox VE: every recording, request by request, over HTTPS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.pve.routes import ROUTES
from lab.pve.server import serve
from tests.contract import recorded_site
from tests.contract.comparing import Difference, Got, compare
from tests.contract.conftest import COUNTED, Tls
from tests.contract.differences import DIFFERENCES, Listed
from tests.contract.recordings import Recorded, files, read
from tests.contract.replay import Replay
from tests.contract.scenes import SCENES

NEVER_BOOTS = 1000.0
"""Seconds a guest takes that a recording starts; those that come up in time do so by an event of its scene."""
STARTED = (101, 102, 200, 201, 202, 203, 204, 231)
GAPS = Path(__file__).parent / "unrecorded-routes.txt"


def replayed(recording: str, tls: Tls) -> Iterator[tuple[Recorded, list[Difference]]]:
    """Every record of a file with what differs in the lab's answer."""
    release, file = recording.split("/")
    scene, records = SCENES[release, file], read(release, file)
    site, hypervisor = recorded_site.make_site(release, scene.stage, recorded_site.first_moment(records))
    hypervisor.faults.boot_seconds |= dict.fromkeys(STARTED, NEVER_BOOTS)
    with hypervisor, serve(site, tls=tls.files) as server:
        for record, got in Replay(scene, site, hypervisor, server, tls.trust).run(records):
            yield record, list(compare(record, got))


@pytest.mark.parametrize("recording", ["/".join(known) for known in files()])
def test_answers_are_as_recorded(
    recording: str,
    tls: Tls,
    subtests: pytest.Subtests,
    record_property: Callable[[str, object], None],
) -> None:
    listed = [entry for entry in DIFFERENCES if recording in entry.files]
    met: Counter[Listed] = Counter()
    compared = 0
    for record, found in replayed(recording, tls):
        compared += 1
        covers = [next((entry for entry in listed if entry.covers(record, one)), None) for one in found]
        met.update(entry for entry in covers if entry)
        wrong = [str(one) for one, entry in zip(found, covers, strict=True) if entry is None]
        if wrong:
            with subtests.test(msg=record.label):
                pytest.fail("\n".join([record.label, f"params: {record.params}", *wrong]), pytrace=False)
    record_property(COUNTED, [recording.split("/", maxsplit=1)[0], compared])
    unused = [f"{entry.request}: {entry.what}" for entry in listed if not met[entry]]
    assert not unused, f"listed differences that no longer occur: {unused}"
    assert compared == len(read(*recording.split("/")))


def test_all_recordings_are_replayed_and_the_routes_without_one_are_known() -> None:
    records = [record for known in files() for record in read(*known)]
    assert set(files()) == set(SCENES)
    assert len(records) >= 2000
    asked = {record.route for record in records}
    gaps = {line for line in GAPS.read_text().splitlines() if line and not line.startswith("#")}
    assert set(ROUTES) - asked == gaps


def test_every_listed_difference_names_a_recording_that_exists() -> None:
    known = {"/".join(known) for known in files()}
    assert all(set(entry.files) <= known and entry.reason for entry in DIFFERENCES)


LIST = read("9.2", "04-jobs")[32]
REFUSED = read("9.2", "04-jobs")[13]


def _changed(record: Recorded, change: Callable[[Any], object], status: int | None = None) -> list[str]:
    body = replace(record).body
    copy = {**body, "data": [dict(item) for item in body["data"]]} if body["data"] else {**body}
    change(copy)
    return [str(one) for one in compare(record, Got(status or record.status, record.reason, copy))]


def test_a_changed_answer_is_noticed() -> None:
    assert _changed(LIST, lambda _body: None) == []
    assert _changed(LIST, lambda body: body["data"][0].pop("vmid")) == [
        "data: lacks ['nightly-vm100/100/backup-hdd'], has more ['nightly-vm100/backup-hdd']"
    ]
    assert _changed(LIST, lambda body: body["data"][0].update(enabled="1")) == [
        "data.[nightly-vm100/100/backup-hdd].enabled: string '1', recorded number 1"
    ]
    assert _changed(LIST, lambda body: body["data"][0].update(schedule="03:00")) == [
        "data.[nightly-vm100/100/backup-hdd].schedule: '03:00', recorded '02:00'"
    ]
    assert _changed(LIST, lambda body: body["data"].pop())[0].startswith("data: lacks")
    assert _changed(REFUSED, lambda body: body.update(errors={}))[0].startswith("errors: lacks ['schedule']")
    assert _changed(REFUSED, lambda _body: None, 500)[0].startswith("status: 500")
