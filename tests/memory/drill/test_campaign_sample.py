"""A sample of the fault campaign, always the same one; the whole of it is ``pytest tests/lab -k campaign``."""

from __future__ import annotations

import random
from pathlib import Path

from backup_standard.model import Facts
from tests.campaign.campaign import Tally, strike
from tests.campaign.faults import FAULTS
from tests.campaign.moments import rehearse
from tests.campaign.scene import on_a_site

SEED, SIZE = 20261124, 12
SLOW = {"no answer, but done"}


def test_a_sample_of_faults_leaves_nothing(tmp_path: Path, facts: Facts) -> None:
    with on_a_site(tmp_path, facts) as scene:
        moments = rehearse(scene)
        cases = [(fault, moment) for fault in FAULTS.values() for moment in moments
                 if fault.fits(moment.ask) and fault.name not in SLOW]  # fmt: skip
        tally = Tally("sample")
        for fault, moment in random.Random(SEED).sample(cases, SIZE):  # noqa: S311 - a sample, no secret
            tally.add(moment, [f"{fault.name}: {text}" for text in strike(scene, fault, moment)])
        assert not tally.wrong, "\n".join(tally.wrong)


def test_every_write_and_every_step_of_a_drill_is_a_moment(tmp_path: Path, facts: Facts) -> None:
    with on_a_site(tmp_path, facts) as scene:
        moments = rehearse(scene)
    steps = {moment.step for moment in moments if moment.begins}
    assert steps >= {"preflight", "claim", "restore", "restore running", "isolation", "boot", "agent", "login",
                     "network", "services", "data", "screen", "teardown", "verify"}  # fmt: skip
    texts = [moment.ask.text for moment in moments]
    assert [text[:4] for text in texts if text.endswith(("(protect)", "(unprotect)"))] == ["PUT ", "PUT "]
    written = {moment.ask.text.split(" (")[0] for moment in moments if moment.ask.writes}
    assert {"POST /nodes/pve1/qemu", "POST /nodes/pve1/qemu/211/status/start", "POST /nodes/pve1/qemu/211/status/stop",
            "DELETE /nodes/pve1/qemu/211", "ip netns add drill211", "ip netns del drill211"} <= written  # fmt: skip


def test_the_campaign_sees_what_is_left(tmp_path: Path, facts: Facts) -> None:
    with on_a_site(tmp_path, facts) as scene:
        (moment,) = (one for one in rehearse(scene) if one.ask.text == "DELETE /nodes/pve1/qemu/211")
        scene.sweep = lambda _run: []  # type: ignore[method-assign, assignment]
        wrong = strike(scene, FAULTS["API 500"], moment)
    assert any(text.startswith("guest 211: was not there") for text in wrong), wrong
