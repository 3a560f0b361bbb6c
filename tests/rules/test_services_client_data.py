"""The rules about client data: what is declared of a guest is looked at in its copy, and only that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from backup_standard.drill.record import Outcome, StepResult
from backup_standard.errors import NotApplicable, Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.inventory.drills import DrillOfGuest
from drills import test_services_client_data as rules

ROOT = "21 1 254:0 / / rw,relatime - ext4 /dev/vda1 rw,errors=remount-ro\n"
DATA = "30 21 254:16 / /srv/client\\040data rw,relatime shared:4 - xfs /dev/vdb {}\n"
SQL = {"sql": {"client": "psql", "query": "select 1", "answer": "1"}}


class Drilled:
    """A drill of a guest that declares this; ``seen`` is what the services step saw."""

    def __init__(self, seen: Mapping[str, str] | None = None, **declared: Any) -> None:
        self.plan = SimpleNamespace(vmid=230, settings=DrillOfGuest.model_validate(declared))
        self._seen = seen

    def step(self, name: str) -> StepResult:
        assert name == "services"
        return StepResult(name, Outcome.OK, 1.0, {"services": self._seen})


def guest(mounts: str, links: Mapping[str, str] | None = None) -> Any:
    """A testinfra host with these mounts and links."""

    def run(command: str, *args: str) -> Any:
        if command.startswith("cat"):
            return SimpleNamespace(rc=0 if mounts else 1, stdout=mounts, stderr="" if mounts else "no such file")
        real = (links or {}).get(args[0], args[0])
        return SimpleNamespace(rc=0 if real else 1, stdout=f"{real}\n" if real else "", stderr="")

    return SimpleNamespace(run=run)


def written(drill: Drilled, mounts: str, links: Mapping[str, str] | None = None) -> dict[str, Any]:
    evidence = Evidence()
    rules.test_client_data_can_be_written_where_it_lies(drill, guest(mounts, links), evidence)  # type: ignore[arg-type]
    return dict(evidence.observed["client_data"])


def test_data_is_writable_where_its_own_file_system_is() -> None:
    drill = Drilled(data=[{"folder": "/srv/client data/"}, {"file": "/etc/shop.conf", "contains": "x"}])
    assert written(drill, ROOT + DATA.format("rw")) == {
        "/srv/client data/": "on the file system at /srv/client data, which is writable",
        "/etc/shop.conf": "on the file system at /, which is writable",
    }


@pytest.mark.parametrize(
    ("mounts", "links"),
    [
        (ROOT + DATA.format("ro"), {}),
        (ROOT.replace("/ rw,", "/ ro,"), {}),
        (ROOT.replace(" rw,errors", " ro,errors"), {}),
        (DATA.format("rw") + ROOT.replace("/ rw,", "/ ro,"), {}),
        (ROOT + DATA.format("ro"), {"/srv/client data": "/srv/client data/v2"}),
        (ROOT + DATA.format("ro"), {"/srv/client data": ""}),
    ],
    ids=["own", "bind mount", "after an error", "hidden by a later mount", "through a link", "no look at the link"],
)
def test_data_on_what_is_mounted_read_only_fails(mounts: str, links: Mapping[str, str]) -> None:
    with pytest.raises(AssertionError, match="read-only in the restored copy: /srv/client data"):
        written(Drilled(data=[{"modified": "/srv/client data"}]), mounts, links)


def test_a_neighbour_whose_name_begins_alike_holds_nothing_of_it() -> None:
    mounts = ROOT + "30 21 254:16 / /srv ro - xfs /dev/vdb ro\n" + "31 21 254:32 / /srvdata rw - xfs /dev/vdc rw\n"
    assert "at /srvdata" in written(Drilled(data=[{"folder": "/srvdata/x"}]), mounts)["/srvdata/x"]


def test_a_kernel_that_cannot_be_asked_is_unknown() -> None:
    with pytest.raises(Unknown, match="the file system that holds /srv/data is unknown: no such file"):
        written(Drilled(data=[{"folder": "/srv/data"}]), "")


@pytest.mark.parametrize(
    ("data", "saying"),
    [
        ([], r"does not say where data lies .* guests\.230\.drill\.data, for example - \{folder"),
        ([{"command": "tail beat"}], "does not say where data lies"),
        ([{"folder": "/srv/media", "read_only": True}], "does not say where data lies"),
        ([{"folder": "D:\\Data"}], "lies on Windows"),
    ],
)
def test_nothing_declared_is_not_applicable_and_says_what_to_declare(data: list[Any], saying: str) -> None:
    with pytest.raises(NotApplicable, match=saying):
        written(Drilled(data=data), ROOT)


def answering(drill: Drilled) -> dict[str, Any]:
    evidence = Evidence()
    rules.test_databases_of_the_client_answer(drill, evidence)  # type: ignore[arg-type]
    return dict(evidence.observed["databases"])


def test_declared_databases_are_judged_by_what_was_seen_of_them() -> None:
    declared = [{"unit": "postgresql"}, SQL, SQL | {"expected_under_isolation": "its peer is away"}]
    seen = {"unit postgresql": "ok", "psql select 1": "ok", "psql select 1 (number 3)": "psql failed"}
    assert answering(Drilled(seen, services=declared)) == {"psql select 1": "ok"}


@pytest.mark.parametrize("seen", [{"psql select 1": "psql failed: no server"}, {}])
def test_a_database_that_did_not_answer_fails(seen: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match=r"^psql select 1: (psql failed: no server|not looked at)"):
        answering(Drilled(seen, services=[SQL]))


@pytest.mark.parametrize(
    "declared",
    [
        {"services": [{"unit": "nginx"}]},
        {"services": "none", "services_reason": "an archive of files"},
        {"services": [SQL | {"expected_under_isolation": "its peer is away"}]},
    ],
)
def test_no_declared_database_is_not_applicable_and_says_how_to_declare_one(declared: dict[str, Any]) -> None:
    drill: Callable[..., Drilled] = Drilled
    with pytest.raises(NotApplicable, match=r"no database: guests\.230\.drill\.services, for example - sql: \{client"):
        answering(drill(**declared))
