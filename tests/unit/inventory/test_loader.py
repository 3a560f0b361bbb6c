"""Loading inventories: what is sound loads, what is wrong is said by file, line and key."""

from __future__ import annotations

import datetime as dt
import textwrap
from pathlib import Path
from typing import Any, Never

import pytest

from backup_standard.errors import InventoryError
from backup_standard.inventory.loader import load, say_place

ROOT = Path(__file__).parents[3]

SOUND = """\
client: acme
site: {name: office, timezone: Europe/Berlin}
api:
  url: https://pve1.acme.example:8006
  audit_token: {id: "audit@pve!suite", secret: "env:ACME"}
policy: {storage: backup-hdd}
drill: {bridge: vmbr9, storage: vmdata, vmids: 9000-9099}
guests:
  200:
    role: docker-host
    drill: {vmid: 201, login: {user: drill, key: ~/.ssh/drill}}
  210: {role: dns}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(text: Any, name: Any = "acme.yaml") -> Any:
        Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
        return Path(name)

    return write


def refusal(path: Any) -> Any:
    with pytest.raises(InventoryError) as caught:
        load(path)
    return str(caught.value)


def only_problem(write: Any, old: Any, new: Any) -> Any:
    """The one problem of the sound inventory with one piece of it replaced."""
    assert old in SOUND
    text = refusal(write(SOUND.replace(old, new)))
    problem, cure = text.split("\n  Next: ")
    assert cure == "mend that line, then: backup-standard inventory check acme.yaml", text
    return problem


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


def test_all_mistakes_are_listed_at_once_in_the_order_of_the_file(write: Any) -> None:
    text = refusal(write(SOUND.replace("acme\n", "5\n").replace("dns", "dnss").replace("vmid: 201", "vmid: x")))

    assert [line.split(":")[1] for line in text.splitlines()[:-1]] == ["1", "11", "12"]
    assert text.splitlines()[-1] == "  Next: mend these 3 lines, then: backup-standard inventory check acme.yaml"


def test_a_secret_written_into_the_inventory_is_refused_and_never_repeated(write: Any) -> None:
    text = refusal(write(SOUND.replace("env:ACME", "hunter2")))

    assert text.splitlines()[0] == (
        "acme.yaml:5: api.audit_token.secret: a secret is a reference: env:NAME, file:PATH or cmd:COMMAND, "
        "never the secret itself"
    )
    assert "hunter2" not in text


@pytest.mark.parametrize("written", ["[hunter2]", "{x: hunter2}", "4711"])
def test_a_secret_of_the_wrong_type_is_not_repeated_either(write: Any, written: Any) -> None:
    text = refusal(write(SOUND.replace('"env:ACME"', written)))

    assert text.startswith("acme.yaml:5: api.audit_token.secret: text is wanted here, not what is written")
    assert "hunter2" not in text
    assert "4711" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "acme.yaml:1: this is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n  b: 2\n", "acme.yaml:2: this is not YAML: mapping values are not allowed here"),
        ("a: 1\n\tb: 2\n", "acme.yaml:2: this is not YAML: found character '\\t' that cannot start any token"),
        ("a: *nope\n", "acme.yaml:1: this is not YAML: found undefined alias 'nope'"),
        (
            "a: \x07\n",
            "acme.yaml:1: this is not YAML: unacceptable character #x0007: special characters are not allowed",
        ),
    ],
)
def test_what_is_not_yaml_is_said_with_its_line(write: Any, text: Any, message: Any) -> None:
    said = refusal(write(text))

    assert said.splitlines()[0] == message
    assert said.splitlines()[1].startswith("  Next: look at that line and the one above")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_without_keys_is_no_inventory(write: Any, text: Any) -> None:
    assert refusal(write(text)) == (
        "acme.yaml: an inventory is a set of keys (client, site, api, policy, guests …), and there is none\n"
        "  Next: start from inventories/example.yaml"
    )


def test_a_missing_file_names_the_inventories_beside_it(write: Any) -> None:
    write(SOUND)

    assert refusal(Path("acem.yaml")) == (
        "acem.yaml: there is no such file\n  Next: inventories in that folder: acme.yaml"
    )
    assert refusal(Path("nowhere/x.yaml")).endswith("Next: give the path of an inventory file")


def test_a_folder_and_a_binary_file_are_no_inventories(tmp_path: Path) -> None:
    assert "that is a folder, not an inventory" in refusal(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    assert "the file is not UTF-8 text" in refusal(tmp_path / "x.yaml")


def test_a_file_that_may_not_be_read_is_named(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(SOUND)

    def denied(*_args: Any, **_kwargs: Any) -> Never:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    assert refusal(path) == "acme.yaml: the file cannot be read: Permission denied"


def test_anchors_and_merge_keys_work(write: Any) -> None:
    text = SOUND.replace("login: {user", "login: &in {user").replace(
        "210: {role: dns}", "210: {role: dns, drill: {vmid: 211, login: {<<: *in, user: root}}}"
    )
    login = load(write(text)).inventory.guests[210].drill.login

    assert (login.user, login.key) == ("root", "~/.ssh/drill")


def test_an_anchor_that_contains_itself_is_a_mistake_not_a_crash(write: Any) -> None:
    text = refusal(write(SOUND + "waivers: &w [*w]\n"))

    assert "acme.yaml:13: waivers[0]: this anchor contains itself; write the values out" in text


def test_places_read_like_paths() -> None:
    assert say_place(()) == "the file"
    assert say_place(("guests", 200, "drill", "services", 0, "unit")) == "guests.200.drill.services[0].unit"
    assert say_place(("waivers", 1, "rule")) == "waivers[1].rule"
