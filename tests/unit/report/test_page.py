"""The page, from a run's folder alone."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
import struct
import zlib
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from backup_standard.evidence.folder import RunFolder
from backup_standard.evidence.verdicts import Outcome, Planned, Verdict
from backup_standard.report import page
from backup_standard.report.fragments import moment, sentence
from tests.rules import builders as b

HOSTILE = '<script>alert("x")</script>'


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0\0")) + chunk(b"IEND", b"")
    )


def drill(**changes: Any) -> dict[str, Any]:
    record = {
        "guest": 210, "vmid": 210, "name": "dns", "role": "dns", "kind": "qemu", "temporary_vmid": 211, "node": "pve1",
        "archive": {"volid": "s:backup/x.vma.zst", "ctime": int(b.LAST_NIGHT.timestamp()), "size": 118_000_000},
        "started": "2026-11-24T08:00:00+00:00", "finished": "2026-11-24T08:01:00+00:00", "outcome": "passed",
        "bytes": 2**31, "mb_per_s": 181.4, "recovery_seconds": 48.2, "rto_seconds": 1800.0,
        "screenshot": "artefacts/screen-210.png", "screenshot_reason": "",
        "isolation": {"bridge": "vmbr9", "proven": ["API: no ports and no address", "node: no ports and no address"]},
        "neutralised": ["onboot: 1 → 0"], "not_proven": [],
        "production_before": {"210": {"digest": "a"}}, "production_after": {"210": {"digest": "a"}},
        "phases": [
            {"name": "restore", "seconds": 12.0, "ok": True, "observed": {"bytes": 2**31, "mb_per_s": 181.4}},
            {"name": "boot", "seconds": 30.0, "ok": True, "observed": {"disk": "virtio0"}, "message": ""},
        ],
    }  # fmt: skip
    return record | changes


class Written:
    """A run's folder filled by a test."""

    def __init__(self, base: Path) -> None:
        self.folder = RunFolder.create(base, "acme", "drill", dt.datetime(2026, 11, 24, 8, 0, tzinfo=dt.UTC))
        self.rows: list[Planned] = []
        self.record: dict[str, Any] = {
            "kind": "drill", "client": "acme", "class": "real",
            "site": {"name": "head-office", "timezone": "Europe/Berlin"},
            "started": "2026-11-24T08:00:00+00:00", "finished": None, "by": {"user": "anna", "host": "desk"},
        }  # fmt: skip

    def row(self, outcome: Outcome, rule: str = "RST-01", subject: str = "VM 210 (dns)", **changes: Any) -> None:
        planned = Planned(
            f"{rule}[{len(self.rows)}]", rule, subject, changes.pop("title", "a title"), "must", "standard", "why"
        )
        self.rows.append(planned)
        self.folder.add_verdict(Verdict(**planned.to_json(), outcome=outcome, **changes))

    def drill(self, **changes: Any) -> None:
        with (self.folder.path / "drills.jsonl").open("a") as lines:
            lines.write(json.dumps(drill(**changes)) + "\n")

    def body(self, not_covered: list[dict[str, Any]] | None = None) -> str:
        self.folder.write_plan(self.rows, not_covered or [])
        self.folder.write_run(self.record)
        return page.body(self.folder)


@pytest.fixture
def run(tmp_path: Path) -> Written:
    written = Written(tmp_path)
    (written.folder.path / "artefacts").mkdir()
    (written.folder.path / "artefacts" / "screen-210.png").write_bytes(png())
    return written


def test_the_verdict_stands_first(run: Written) -> None:
    run.row(Outcome.PASS)
    run.drill()
    body = run.body()
    assert body.startswith('<div class="verdict verdict-good" role="status"><strong>RESTORABLE</strong>')
    assert "1 of the standard's rules checked on 1 subject, all met." in unescape(re.sub("<[^>]*>", "", body))
    assert "anna on desk" in body
    assert "2026-11-24 09:00:00 CET" in body


def test_a_lab_is_marked_at_the_very_top_and_so_is_a_part(run: Written) -> None:
    run.record |= {"class": "lab", "partial": True}
    run.row(Outcome.PASS)
    body = run.body()
    assert body.startswith('<p class="mark" role="note"><b>LAB</b>')
    assert "<b>PARTIAL</b>" in body.split('class="verdict', 1)[0]
    assert "LAB" not in Written(run.folder.path).body()


def test_drill_table_with_phases_times_speed_and_screen(run: Written) -> None:
    run.row(Outcome.PASS)
    run.drill()
    body = run.body()
    for shown in (
        "VM 210 (dns)", "113 MiB", "2026-11-24 02:00", "restore 12 s", "boot 30 s", "2.0 GiB at 181 MB/s",
        "48.2 s (RTO 30 min met)", "API: no ports and no address", "onboot: 1 → 0",
        "1 compared before and after: configuration, status and disks unchanged", "speed</dt><dd>181 MB/s",
    ):  # fmt: skip
        assert shown in body, shown
    picture = base64.b64encode(png()).decode()
    assert body.count(f'src="data:image/png;base64,{picture}"') == 2
    assert 'href="#screen-211"' in body
    assert 'id="screen-211"' in body
    assert 'aria-label="time of the phases, 42 s in all"' in body


def test_a_drill_is_failed_by_any_red_row_of_its_guest(run: Written) -> None:
    """A service's own row may fail after every step of the drill passed."""
    run.row(Outcome.FAIL, "RST-05")
    run.drill()
    body = run.body()
    assert '<span class="badge badge-pass">pass</span> VM 210' not in body
    assert '<span class="badge badge-fail">fail</span> VM 210' in body


def test_a_failed_drill_says_what_is_missing(run: Written) -> None:
    run.row(Outcome.FAIL)
    run.drill(
        outcome="failed", screenshot=None, screenshot_reason="the guest stopped", bytes=None,
        recovery_seconds=None,
        isolation={}, production_after={},
        phases=[{"name": "boot", "seconds": 0, "ok": False, "message": "it stopped"}],
        archive={"volid": "x"}, finished=None, kind="lxc", name="", role="",
    )  # fmt: skip
    body = run.body()
    for shown in (
        "No picture of the screen: the guest stopped", "not measured", "not proven", "not compared", "it stopped",
        "size not shown", "not yet", "CT 210 (?)",
    ):  # fmt: skip
        assert shown in body, shown
    assert "<svg" not in body


def test_production_that_changed_is_named(run: Written) -> None:
    run.row(Outcome.FAIL, "RST-07")
    run.drill(production_after={"210": {"digest": "b"}}, phases=[])
    assert "changed: 210" in run.body()


@pytest.mark.parametrize("name", ["../../outside.png", "artefacts/no.png", "artefacts/text.png"])
def test_only_pictures_inside_the_folder_are_embedded(run: Written, name: str) -> None:
    (run.folder.path.parent.parent / "outside.png").write_bytes(png())
    (run.folder.path / "artefacts" / "text.png").write_text("<svg onload=alert(1)>")
    run.drill(screenshot=name)
    assert "data:image/png" not in run.body()


def test_hostile_names_stay_text(run: Written) -> None:
    run.row(
        Outcome.FAIL, rule="RST-03", subject=HOSTILE, title=HOSTILE, message=HOSTILE, remedy=HOSTILE,
        observed={HOSTILE: HOSTILE, "list": [HOSTILE, HOSTILE]},
    )  # fmt: skip
    run.row(Outcome.ADVISORY, message=HOSTILE, remedy=f"pvesh {HOSTILE}")
    run.drill(
        name=HOSTILE, screenshot_reason=HOSTILE, screenshot=None, node=HOSTILE, neutralised=[HOSTILE, HOSTILE],
        isolation={HOSTILE: [HOSTILE]}, temporary_vmid=HOSTILE, outcome=HOSTILE,
        phases=[{"name": HOSTILE, "seconds": 1, "ok": True, "observed": {HOSTILE: HOSTILE}, "message": HOSTILE}],
    )  # fmt: skip
    run.record |= {
        "site": {"name": HOSTILE, "api": HOSTILE, "timezone": "Europe/Berlin"}, "by": {"user": HOSTILE},
        "leftovers": [HOSTILE], "gaps": [{"fact": HOSTILE, "reason": HOSTILE, "need": HOSTILE}], "nodes": [HOSTILE],
    }  # fmt: skip
    body = run.body([{"guest": HOSTILE, "reason": HOSTILE}])
    assert "<script" not in body
    assert body.count("&lt;script&gt;") > 20


def test_every_rule_with_every_subject(run: Written) -> None:
    run.row(Outcome.PASS, "STO-02", "storage a", observed={"mounted_now": True})
    run.row(Outcome.UNKNOWN, "STO-02", "storage b", message="no SSH")
    run.row(Outcome.PASS, "RST-05", title="one service")
    run.row(Outcome.PASS, "RST-05", title="another service")
    text = re.sub("<[^>]*>", "|", run.body([{"guest": "CT 230 (files)", "reason": "not there yet"}]))
    for shown in (
        "storage a",
        "mounted now",
        "|yes|",
        "storage b",
        "No SSH.",
        "Services of the role",
        "another service",
    ):
        assert shown in text, shown
    assert "CT 230 (files)" in text
    assert "Guests without a drill" in text
    assert "NOT PROVEN" in text


def test_gaps_and_leftovers_have_their_place(run: Written) -> None:
    run.record |= {"leftovers": ["VM 211 on pve1"], "gaps": [{"fact": "tasks", "reason": "403", "need": "Sys.Audit"}]}
    run.row(Outcome.PASS)
    body = run.body()
    assert "Left behind on the site" in body
    assert "<li>VM 211 on pve1</li>" in body
    assert "Sys.Audit" in body


def test_an_audit_speaks_of_guests_not_judged(run: Written) -> None:
    run.record |= {"kind": "audit"}
    run.row(Outcome.PASS)
    assert "Guests not judged" in run.body([{"guest": "VM 305", "reason": "role scratch"}])


def test_titles() -> None:
    assert page.title("audit", b.inventory()) == "Backup audit: acme, head-office"
    assert page.title("drill", b.inventory()) == "Restore drill: acme, head-office"


def test_the_finished_page_forbids_every_request() -> None:
    html = '<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8"/></head><body><script>let a = 1</script></body></html>'
    finished = page.finished(html)
    digest = base64.b64encode(hashlib.sha256(b"let a = 1").digest()).decode()
    assert '<html lang="en">' in finished
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in finished
    assert "script-src 'none'" in page.finished('<meta charset="utf-8"/>')


def test_the_style_needs_nothing_from_outside() -> None:
    style = page.STYLE.read_text()
    assert not re.search(r"url\(|@import|https?:", style)


def test_small_pieces() -> None:
    assert sentence("a thing") == "A thing."
    assert sentence("A thing!\nmore.") == "A thing!<br>more."
    assert moment("nonsense", "UTC") == "nonsense"
    assert moment(None, "UTC") == "not yet"
