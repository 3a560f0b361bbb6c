"""Parameters and privileges of every route are those of the published API schemas of 9.2 and 8.4.

``schema_facts`` is a table of its own, made from the full schemas: per route the name and type of each parameter ("?"
for an optional one, ``net[32]`` for net0 to net31) and the structure of its privilege check. The lab's own data in
``lab/pve/schema`` is held against it, and so is what the running code does.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.pve.dispatch import Answer, Request, answer
from lab.pve.routes import ROUTES
from lab.pve.schema import load
from lab.pve.site import Site
from tests.contract.recorded_site import Stage, make_site
from tests.contract.scenes import DRILL, EIGHT

RELEASES = ("9.2", "8.4")
ROOT_INDEX = "GET /"
"""The index of everything: the schema does not describe it."""
VALUES = {"node": "pve1", "vmid": "200", "poolid": "prod", "storage": "backup-hdd"}


@cache
def facts(release: str) -> dict[str, dict[str, Any]]:
    return json.loads((Path(__file__).parent / "schema_facts" / f"pve-{release}.json").read_text())


def parameters(release: str, route: str) -> dict[str, str]:
    """The lab's parameters of a route in the table's notation."""
    found = {}
    for name, schema in load(release).routes[route].parameters.items():
        kind = schema.get("type", "string") + ("?" if schema.get("optional") else "")
        found[name.replace("[n]", f"[{schema['count']}]") if name.endswith("[n]") else name] = kind
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_the_lab_serves_only_routes_of_the_schema(release: str) -> None:
    assert set(ROUTES) - set(facts(release)) == {ROOT_INDEX}


@pytest.mark.parametrize("release", RELEASES)
def test_parameters_are_those_of_the_schema(release: str) -> None:
    wrong = {
        route: {
            name: (known.get(name), mine.get(name)) for name in known.keys() | mine if known.get(name) != mine.get(name)
        }
        for route, fact in facts(release).items()
        if (known := fact["parameters"]) != (mine := parameters(release, route))
    }
    assert not wrong


@pytest.mark.parametrize("release", RELEASES)
def test_privileges_are_those_of_the_schema(release: str) -> None:
    routes = load(release).routes
    wrong = {
        route: (fact["permissions"], routes[route].permissions)
        for route, fact in facts(release).items()
        if fact["permissions"] != {k: v for k, v in routes[route].permissions.items() if k != "description"}
    }
    assert not wrong


def site_of(release: str) -> Site:
    return make_site(release, Stage(DRILL if release == "9.2" else EIGHT, running=()), 1795468000)[0]


def ask(site: Site, route: str, who: str, **params: str) -> Answer:
    """Ask a route, its path filled in, as a token or as root@pam with a ticket."""
    method, path = route.split(" ")
    values = {**VALUES, "node": site.node}
    path = re.sub(r"{(\w+)}", lambda found: values.get(found[1], "x"), path)
    request = Request(method, path, dict(params))
    if who == "root@pam":
        request.ticket, request.csrf = site.access.ticket(who), site.access.csrf(who)
    else:
        request.authorization = f"PVEAPIToken={who}={who}"
    return answer(site, request)


def refusal(site: Site, check: list[Any]) -> str:
    """What somebody without any right is told by a plain check."""
    _perm, template, privileges, *options = check
    values = {**VALUES, "node": site.node}
    path = re.sub(r"{(\w+)}", lambda found: values.get(found[1], "x"), template)
    some = dict(zip(options[::2], options[1::2], strict=True)).get("any")
    return f"Permission check failed ({path}, {'|'.join(privileges) if some else privileges[0]})"


@pytest.mark.parametrize("release", RELEASES)
def test_who_has_no_rights_is_refused_by_every_route_with_a_check(release: str) -> None:
    site, asked, wrong = site_of(release), 0, {}
    for route, fact in facts(release).items():
        check = fact["permissions"].get("check")
        if check and check[0] == "perm" and fact["permissions"].get("user") != "all":
            expected = (403, refusal(site, check))
            named = {name: VALUES[name] for name in re.findall(r"{(\w+)}", check[1]) if f"{{{name}}}" not in route}
            got = ask(site, route, "auditor@pve!suite", **named)
            asked += 1
            if (got.status, got.reason) != expected:
                wrong[route] = (got.status, got.reason), expected
    assert not wrong
    assert asked > 120


@pytest.mark.parametrize("release", RELEASES)
def test_every_route_names_the_parameters_it_misses_and_does_not_know(release: str) -> None:
    site, wrong = site_of(release), {}
    for route, fact in facts(release).items():
        given = set(re.findall(r"{(\w+)}", route))
        required = {name for name, kind in fact["parameters"].items() if not kind.endswith("?")} - given
        got = ask(site, route, "root@pam", **{"no-such-parameter": "1"})
        errors = got.body["errors"] if got.status == 400 and got.body else {}
        missing = {name for name, text in errors.items() if text.startswith("property is missing")}
        unknown = {name for name, text in errors.items() if text.startswith("property is not defined")}
        if (missing, unknown) != (required, {"no-such-parameter"}):
            wrong[route] = got.status, errors, required
    assert not wrong
