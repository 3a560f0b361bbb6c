"""A server that says what a test wants, and a token for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.fakepve import fake_pve


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PVE_TOKEN", "s3cret-token")


@pytest.fixture
def fake(tmp_path: Path) -> Any:
    with fake_pve(tmp_path) as running:
        yield running
