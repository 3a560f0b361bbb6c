"""A server that says what a test wants, and a token for it."""

from __future__ import annotations

import pytest

from tests.unit.fakepve import fake_pve


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("FAKE_PVE_TOKEN", "s3cret-token")


@pytest.fixture
def fake(tmp_path):
    with fake_pve(tmp_path) as running:
        yield running
