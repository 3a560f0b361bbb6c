"""Modules of one's own look into a copy only while nothing before the services has failed."""

from __future__ import annotations

import pytest

from backup_standard.errors import NotRun
from tests.drillground import Ground
from tests.memory.drill.faults import a_service_is_down, anybody_gets_in, production_is_reachable


def test_after_a_refused_login_nobody_looks_into_the_copy(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    anybody_gets_in(ground, monkeypatch)
    with ground.drill(210) as drill:
        assert not drill.step("login").ok
        for host in (drill.host, drill.host_as_root):
            with pytest.raises(NotRun, match="the copy of guest 210 was not looked into: login failed"):
                host()


def test_after_a_failed_network_row_nobody_looks_into_the_copy(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    production_is_reachable(ground, monkeypatch)
    with ground.drill(210) as drill:
        assert not drill.step("network").ok
        for host in (drill.host, drill.host_as_root):
            with pytest.raises(NotRun, match="network failed"):
                host()


def test_a_service_that_is_down_is_looked_at_by_its_module_too(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    a_service_is_down(ground, monkeypatch)
    monkeypatch.setattr("backup_standard.drill.steps.serving.SERVICES_TIMEOUT", 0.3)
    with ground.drill(210) as drill:
        assert not drill.step("services").ok
        assert not drill.host().service("dnsmasq").is_running
        assert not drill.host_as_root().service("dnsmasq").is_running
