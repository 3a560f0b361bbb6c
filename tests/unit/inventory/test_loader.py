"""Loading inventories: what is sound loads, what is wrong is said by file, line and key."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from backup_standard.inventory.loader import load
from tests.unit.inventory.acme import SOUND, only_problem, refusal

ROOT = Path(__file__).parents[3]


def test_a_sound_inventory_loads_with_the_lines_of_its_places(write: Any) -> None:
    loaded = load(write(SOUND))

    assert loaded.inventory.client == "acme"
    assert loaded.inventory.guests[200].drill.vmid == 201
    assert loaded.inventory.policy.rpo == dt.timedelta(hours=26)
    assert loaded.where("guests", 200, "drill", "vmid") == "acme.yaml:11: guests.200.drill.vmid"
    assert loaded.where("guests", 210, "rto") == "acme.yaml:12: guests.210.rto"
    assert loaded.inventory.api.audit_token.where == "acme.yaml:5: api.audit_token.secret"


@pytest.mark.parametrize("name", ["example.yaml", "lab.yaml"])
def test_the_inventories_that_come_with_the_suite_are_sound(name: Any) -> None:
    assert load(ROOT / "inventories" / name).inventory.guests


def test_the_labs_inventory_says_that_it_is_a_lab() -> None:
    inventory = load(ROOT / "inventories/lab.yaml").inventory

    assert inventory.class_ == "lab"
    assert sorted(inventory.guests) == [100, 200, 210, 220, 230]
    assert {vmid: guest.drill.vmid for vmid, guest in inventory.guests.items() if guest.drill} == {
        100: 101,
        200: 201,
        210: 211,
        220: 221,
        230: 231,
    }
    assert all(guest.drill.login.user == "drill" for guest in inventory.guests.values() if guest.drill)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("role: dns", "role: dns, rol: x", "acme.yaml:12: guests.210.rol: unknown key; did you mean role?"),
        (
            "client: acme",
            "client: acme\nzebra: 1",
            (
                "acme.yaml:2: zebra: unknown key; known here: client, class, site, api, nodes, policy, guests, groups, "
                "drill, not_deployed, attestations, waivers"
            ),
        ),
        (
            "role: dns",
            "role: dnss",
            (
                "acme.yaml:12: guests.210.role: 'dnss' is not one of golden-template, docker-host, dns, monitoring, "
                "client-data, infrastructure, scratch; did you mean dns?"
            ),
        ),
        ("client: acme", "client: 5", "acme.yaml:1: client: text is wanted here, not 5; put it in quotes"),
        (
            "client: acme",
            "client: a b",
            (
                "acme.yaml:1: client: 'a b' is not in the form wanted; write short name of letters, digits, dot, dash; "
                "names the reports' folder"
            ),
        ),
        ("vmid: 201", "vmid: two", "acme.yaml:11: guests.200.drill.vmid: a whole number is wanted here, not 'two'"),
        (
            "vmid: 201",
            "vmid: 99",
            "acme.yaml:11: guests.200.drill.vmid: 99: input should be greater than or equal to 100",
        ),
        ("{role: dns}", "dns", "acme.yaml:12: guests.210: a section with keys is wanted here, not 'dns'"),
        ("210: {role: dns}", "210:", "acme.yaml:12: guests.210: a section with keys is wanted here, not nothing"),
        (
            "210: {role: dns}",
            "200: {role: dns}",
            "acme.yaml:12: guests.200: this key is given twice (first in line 9); keep one",
        ),
        (
            "210:",
            "dns1:",
            "acme.yaml:12: guests.dns1: guests are listed by VMID, a whole number from 100 to 999999999",
        ),
        ("210:", "99:", "acme.yaml:12: guests.99: guests are listed by VMID, a whole number from 100 to 999999999"),
        (
            "{storage: backup-hdd}",
            "{}",
            "acme.yaml:6: policy.storage: this key is missing: the dedicated backup storage",
        ),
        ("role: dns", "role: dns, rpo: 26", "acme.yaml:12: guests.210.rpo: 26 has no unit; write 90s, 30m, 26h or 7d"),
        (
            "role: dns",
            "role: dns, rpo: soon",
            "acme.yaml:12: guests.210.rpo: 'soon' is not a duration; write 90s, 30m, 26h or 7d",
        ),
        (
            "role: dns",
            "role: dns, rpo: [1h]",
            "acme.yaml:12: guests.210.rpo: a duration such as 30m or 26h is wanted here, not a list",
        ),
        (
            "role: dns",
            "role: scratch, exempt: {reason: x, until: 2027-02-30}",
            "acme.yaml:12: guests.210.exempt.until: a date as YYYY-MM-DD is wanted here, not '2027-02-30'",
        ),
        (
            "Europe/Berlin",
            "Europe/Berlim",
            (
                "acme.yaml:2: site.timezone: 'Europe/Berlim' is not an IANA time zone such as Europe/Berlin; "
                "did you mean Europe/Berlin?"
            ),
        ),
        (
            "Europe/Berlin",
            "here",
            "acme.yaml:2: site.timezone: 'here' is not an IANA time zone such as Europe/Berlin",
        ),
        (
            "https://pve1.acme.example:8006",
            "http://pve1:8006",
            "acme.yaml:4: api.url: 'http://pve1:8006' is not in the form wanted; write https://HOST:8006",
        ),
        (
            "audit@pve!suite",
            "audit",
            (
                "acme.yaml:5: api.audit_token.id: 'audit' is not in the form wanted; "
                "write USER@REALM!NAME, for example "
                "audit@pve!suite"
            ),
        ),
        (
            "key: ~/.ssh/drill",
            "port: 22",
            "acme.yaml:11: guests.200.drill.login: give key: FILE or password: REFERENCE, or throwaway_key: true",
        ),
        (
            "vmid: 201,",
            "services: {unit: ssh},",
            (
                "acme.yaml:11: guests.200.drill.services: a list (lines that begin with - ) or the word none is wanted "
                "here, not a section"
            ),
        ),
        (
            "vmid: 201,",
            "services: [{unit: ssh, port: 22}],",
            (
                "acme.yaml:11: guests.200.drill.services[0]: a service has exactly one of "
                "unit, port, container, http, dns, sql, "
                "command"
            ),
        ),
        (
            "vmid: 201,",
            "services: [{unit: 7}],",
            "acme.yaml:11: guests.200.drill.services[0].unit: text is wanted here, not 7; put it in quotes",
        ),
        (
            "vmid: 201,",
            "services: none,",
            "acme.yaml:11: guests.200.drill: services: none needs services_reason",
        ),
        (
            "9000-9099",
            "9099-9000",
            "acme.yaml:7: drill.vmids: a range of VMIDs is written LOW-HIGH, for example 9000-9099",
        ),
        (
            "client: acme",
            "client: acme\nnot_deployed: {dnz: later}",
            (
                "acme.yaml:2: not_deployed.dnz: 'dnz' is not one of golden-template, docker-host, dns, monitoring, "
                "client-data, infrastructure, scratch; did you mean dns?"
            ),
        ),
        ("role: dns", "role: !x dns", "acme.yaml:12: guests.210.role: the tag !x means nothing here; remove it"),
        (
            "client: acme",
            "client: acme\n? [a, b]\n: 1",
            "acme.yaml:2: the file: a key is a single word or number, not a list or mapping",
        ),
    ],
)
def test_each_mistake_is_named_by_line_and_key(write: Any, old: Any, new: Any, problem: Any) -> None:
    text = refusal(write(SOUND.replace(old, new)))

    assert text.splitlines()[0] == problem


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "vmid: 201",
            "vmid: 210",
            (
                "acme.yaml:11: guests.200.drill.vmid: 210 is a production guest of this inventory; "
                "choose a VMID that is free"
            ),
        ),
        (
            "210: {role: dns}",
            "210: {role: dns, drill: {vmid: 201}}",
            "acme.yaml:12: guests.210.drill.vmid: 201 is already the temporary VMID of guest 200; choose another",
        ),
        (
            "9000-9099",
            "150-300",
            (
                "acme.yaml:7: drill.vmids: the range holds production guests of this inventory (200, 210); "
                "drills delete what is in it"
            ),
        ),
        (
            "drill: {bridge: vmbr9, storage: vmdata, vmids: 9000-9099}\n",
            "",
            (
                "acme.yaml:10: guests.200.drill: a drill needs the section drill: with bridge, storage and vmids; "
                "add it at the top level"
            ),
        ),
        (
            "{storage: backup-hdd}",
            "{storage: backup-hdd, keep_nights: 3}",
            (
                "acme.yaml:6: policy.keep_nights: weaker than the standard's 7 nights; "
                "remove it or add a waiver for RET-01"
            ),
        ),
        (
            "{storage: backup-hdd}",
            "{storage: backup-hdd, rpo: 27h}",
            "acme.yaml:6: policy.rpo: weaker than the standard's 26h; remove it or add a waiver for VER-02",
        ),
        (
            "{role: dns}",
            "{role: dns, rpo: 2d}",
            "acme.yaml:12: guests.210.rpo: weaker than the standard's 26h; remove it or add a waiver for VER-02",
        ),
    ],
)
def test_sections_that_contradict_each_other_are_named(write: Any, old: Any, new: Any, problem: Any) -> None:
    assert only_problem(write, old, new) == problem


def test_a_waiver_allows_a_weaker_threshold(write: Any) -> None:
    waiver = "waivers: [{rule: VER-02, subject: 210, reason: x, approved_by: y, expires: 2027-01-31}]\n"
    text = SOUND.replace("{role: dns}", "{role: dns, rpo: 2d}") + waiver.replace("210", "'210'")

    assert load(write(text)).inventory.guests[210].rpo == dt.timedelta(days=2)


def test_a_stricter_threshold_is_accepted(write: Any) -> None:
    loaded = load(write(SOUND.replace("{storage: backup-hdd}", "{storage: backup-hdd, keep_nights: 14, rpo: 90m}")))

    assert loaded.inventory.policy.keep_nights == 14
