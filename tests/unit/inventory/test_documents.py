"""Files that are no sound inventory at all: secrets written out, no YAML, no file; anchors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Never

import pytest

from backup_standard.inventory.loader import load, say_place
from tests.unit.inventory.acme import SOUND, refusal


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
