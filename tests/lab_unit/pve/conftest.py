"""The small site that the guests' tests share."""

from __future__ import annotations

import pytest

from tests.lab_unit.pve.guestlab import Lab, make_lab


@pytest.fixture
def lab() -> Lab:
    """A site answering as 9.2."""
    return make_lab()


@pytest.fixture
def lab8() -> Lab:
    """The same answering as 8.4."""
    return make_lab("8.4")
