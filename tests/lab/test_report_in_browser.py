"""The evidence as a client sees it: the report in a real browser, without a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.lab.browser import browser, chromium
from tests.lab.site import EvidenceRun

SEEN = """(() => ({
  text: document.body.innerText,
  broken: [...document.images].filter(image => !image.complete || image.naturalWidth < 300).length,
  images: document.images.length,
  width: document.documentElement.scrollWidth <= window.innerWidth,
}))()"""


@pytest.fixture(scope="module")
def page(evidence_run: EvidenceRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if chromium() is None:
        pytest.skip("no Chromium on this machine")
    folder: Path = tmp_path_factory.mktemp("browser")
    alone = folder / "report.html"
    shutil.copy(evidence_run.folder / "report.html", alone)  # one file, away from the run folder
    with browser(folder / "profile") as tab:
        tab.open(alone)
        tab.photograph(evidence_run.folder / "artefacts" / "report.png")
        return {**tab.ask(SEEN), "requests": tab.requests}


def test_verdict_and_lab_mark_stand_on_top(page: dict[str, Any]) -> None:
    top = page["text"][:600]
    assert "LAB" in top
    assert "RESTORABLE" in top or "COMPLIANT" in top


def test_every_drilled_guest_has_a_row(page: dict[str, Any]) -> None:
    for guest, copy in (("VM 100", "101"), ("VM 200", "201"), ("VM 210", "211"), ("VM 220", "221")):
        assert guest in page["text"]
        assert copy in page["text"]


def test_screens_of_the_booted_guests_are_there(page: dict[str, Any]) -> None:
    assert page["images"] >= 4
    assert page["broken"] == 0


def test_page_fits_and_asks_nothing_of_a_network(page: dict[str, Any]) -> None:
    assert page["width"]
    assert [url for url in page["requests"] if not url.startswith(("file:", "data:"))] == []
