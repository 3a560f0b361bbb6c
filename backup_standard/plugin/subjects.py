"""The fixtures that rules ask for, and the subjects they are parametrized with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from backup_standard.audit.everyone import AnyGuest, HiddenGuests, RequiredRole
from backup_standard.audit.guest import Guest
from backup_standard.audit.node import Node
from backup_standard.audit.scheduled_job import ScheduledJob
from backup_standard.audit.site import Site
from backup_standard.audit.storage import BackupStorage
from backup_standard.errors import NotApplicable, Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.plugin.session import run_of

EVIDENCE_KEY = pytest.StashKey[Evidence]()


class NoSubject(Exception):
    """A rule has nothing to judge, and the inventory does not say why."""


class Missing:
    """Stands in for a rule's subjects when there are none, or when it is unknown which there are."""

    def __init__(self, reason: Exception, subject: str = "no subject", ident: str = "no-subject") -> None:
        self.reason, self.subject, self.ident = reason, subject, ident

    def __str__(self) -> str:
        return self.subject


SUBJECTS: dict[str, tuple[Callable[[Site], Sequence[Any]], Callable[[Any], str], str]] = {
    "guest": (lambda site: site.guests, lambda guest: str(guest.vmid), "the site has no mandatory guest"),
    "backup_storage": (lambda site: site.backup_storages, lambda storage: storage.key, "the site has no node"),
    "node": (lambda site: site.nodes, lambda node: node.name, "the site has no node"),
    "any_guest": (lambda site: site.everyone, lambda guest: str(guest.vmid), "the site has no guest"),
    "golden_template": (
        lambda site: site.golden_templates,
        lambda guest: str(guest.vmid),
        "no golden template is declared",
    ),
    "docker_host": (lambda site: site.docker_hosts, lambda guest: str(guest.vmid), "no Docker host is declared"),
    "changing_guest": (
        lambda site: (*site.golden_templates, *site.docker_hosts),
        lambda guest: str(guest.vmid),
        "neither a golden template nor a Docker host is declared",
    ),
    "required_role": (lambda site: site.required_roles, lambda role: role.role, "no role is required"),
    "job": (lambda site: site.jobs, lambda job: job.id, "the site has no backup job"),
}
"""For each fixture: the site's subjects, their ids, and what it means that there are none."""

_OF_ROLES: dict[str, tuple[str, ...]] = {
    "golden_template": ("golden-template",),
    "docker_host": ("docker-host",),
    "changing_guest": ("golden-template", "docker-host"),
}
"""The roles that a fixture's subjects have, where a client may declare to have none."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every rule its subjects; a rule without any becomes one red item."""
    run = run_of(metafunc.config)
    if run is None or metafunc.definition.get_closest_marker("rule") is None:
        return
    for name in SUBJECTS.keys() & set(metafunc.fixturenames):
        subjects = subjects_of(run.site, name)
        ids = [one.ident if isinstance(one, Missing) else SUBJECTS[name][1](one) for one in subjects]
        metafunc.parametrize(name, subjects, ids=ids, indirect=True)


def subjects_of(site: Site, name: str) -> Sequence[Any]:
    """What a fixture gives rules to judge; one that is missing, with the reason, where there is nothing."""
    find, _, nothing = SUBJECTS[name]
    try:
        found = [_unless_declared_away(one) for one in find(site)]
    except Unknown as unknown:
        return [Missing(unknown)]
    return found or [Missing(_why_none(site, name, nothing))]


def _unless_declared_away(subject: Any) -> Any:
    """The subject itself; of a role that the client declares not to have, the declaration."""
    if isinstance(subject, RequiredRole) and subject.not_deployed and not subject.vmids:
        reason = NotApplicable(f"the inventory declares it not deployed: {subject.not_deployed}")
        return Missing(reason, str(subject), subject.role)
    return subject


def _why_none(site: Site, name: str, nothing: str) -> Exception:
    """Why a fixture has no subject: declared with a reason, or a finding."""
    roles = _OF_ROLES.get(name, ())
    reasons = [f"{role} not deployed: {site.inventory.not_deployed.get(role)}" for role in roles]  # type: ignore[call-overload]
    if roles and all(role in site.inventory.not_deployed for role in roles):
        return NotApplicable(f"the inventory declares {', '.join(reasons)}")
    return NoSubject(f"there is nothing to judge: {nothing}")


def _subject(request: pytest.FixtureRequest) -> Any:
    if isinstance(request.param, Missing):
        raise request.param.reason
    return request.param


@pytest.fixture
def guest(request: pytest.FixtureRequest) -> Guest:
    """A guest that the policy demands backups of."""
    found: Guest = _subject(request)
    return found


@pytest.fixture
def backup_storage(request: pytest.FixtureRequest) -> BackupStorage:
    """The policy storage on one node."""
    found: BackupStorage = _subject(request)
    return found


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Node:
    """A node that has mandatory guests."""
    found: Node = _subject(request)
    return found


@pytest.fixture
def job(request: pytest.FixtureRequest) -> ScheduledJob:
    """A backup job."""
    found: ScheduledJob = _subject(request)
    return found


@pytest.fixture
def any_guest(request: pytest.FixtureRequest) -> AnyGuest | HiddenGuests:
    """A guest of the site, mandatory or not."""
    found: AnyGuest | HiddenGuests = _subject(request)
    return found


@pytest.fixture
def golden_template(request: pytest.FixtureRequest) -> Guest:
    """A golden template."""
    found: Guest = _subject(request)
    return found


@pytest.fixture
def docker_host(request: pytest.FixtureRequest) -> Guest:
    """A Docker host."""
    found: Guest = _subject(request)
    return found


@pytest.fixture
def changing_guest(request: pytest.FixtureRequest) -> Guest:
    """A guest whose changes the policy's workflow follows: golden template or Docker host."""
    found: Guest = _subject(request)
    return found


@pytest.fixture
def required_role(request: pytest.FixtureRequest) -> RequiredRole:
    """A role that the policy demands of every client."""
    found: RequiredRole = _subject(request)
    return found


@pytest.fixture
def site(pytestconfig: pytest.Config) -> Site:
    """The whole site: inventory and facts."""
    run = run_of(pytestconfig)
    if run is None:
        raise pytest.UsageError("the fixture site needs --inventory FILE")
    return run.site


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Notes what a rule observed: ``evidence(rpo=guest.rpo)``."""
    notes: Evidence = request.node.stash.setdefault(EVIDENCE_KEY, Evidence())
    return notes
