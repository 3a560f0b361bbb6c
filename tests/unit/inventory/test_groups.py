"""Application groups in an inventory: what they must agree on with the guests they name."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.inventory.groups import EndToEndCheck, contradictions
from backup_standard.inventory.schema import Inventory


def inventory(groups: dict[str, Any], **guests: dict[str, Any]) -> Inventory:
    def drilled(last: int, **changes: Any) -> dict[str, Any]:
        return {"role": "dns", "drill": {"address": f"10.0.0.{last}/24", "gateway": "10.0.0.1"} | changes}

    known = {200: drilled(20), 210: drilled(21), 220: drilled(22)} | {int(key[1:]): one for key, one in guests.items()}
    return Inventory.model_validate({
        "client": "acme", "site": {"name": "x", "timezone": "Europe/Berlin"},
        "api": {"url": "https://pve1:8006", "audit_token": {"id": "a@pve!b", "secret": "env:X"}},
        "policy": {"storage": "backup-hdd"}, "guests": known, "groups": groups,
    })  # fmt: skip


def group(*guests: int, by: int | None = None) -> dict[str, Any]:
    return {"guests": list(guests), "checks": [{"guest": by or guests[-1], "command": "true"}]}


def test_a_sound_group_contradicts_nothing() -> None:
    assert list(contradictions(inventory({"shop": group(210, 200)}))) == []


@pytest.mark.parametrize(
    ("found", "place", "saying"),
    [
        (inventory({"a": group(200, 999)}), ("groups", "a", "guests", 1), "there is no guest 999"),
        (inventory({"a": group(200, 210), "b": group(220, 200)}), ("groups", "b", "guests", 1), "already in group a"),
        (inventory({"a": group(200, 200)}), ("groups", "a", "guests", 1), "200 is already in group a"),
        (
            inventory({"a": group(200, 210, by=220)}),
            ("groups", "a", "checks", 0, "guest"),
            "220 is not a guest of this",
        ),
        (
            inventory({"a": group(200, 210)}, g210={"role": "dns"}),
            ("groups", "a", "guests", 1),
            "needs drill: with its",
        ),
        (
            inventory({"a": group(200, 210)}, g210={"role": "dns", "drill": {"address": "10.0.1.2/24"}}),
            ("groups", "a", "guests"),
            "share one network and one gateway",
        ),
    ],
)
def test_what_does_not_agree_is_named(found: Inventory, place: tuple[str | int, ...], saying: str) -> None:
    assert any(one == place and saying in text for one, text in contradictions(found)), list(contradictions(found))


@pytest.mark.parametrize(
    ("check", "saying"),
    [
        ({"guest": 200}, "exactly one of command, connect, url"),
        ({"guest": 200, "command": "a", "connect": "10.0.0.1:1"}, "exactly one of"),
        ({"guest": 200, "connect": "10.0.0.1"}, "not ADDRESS:PORT"),
        ({"guest": 200, "connect": "db:5432"}, "not ADDRESS:PORT"),
        ({"guest": 200, "connect": "10.0.0.1:70000"}, "not ADDRESS:PORT"),
        ({"guest": 200, "command": "a", "body": "x"}, "stands beside url"),
    ],
)
def test_half_an_end_to_end_check_is_refused(check: dict[str, Any], saying: str) -> None:
    with pytest.raises(ValueError, match=saying):
        EndToEndCheck.model_validate(check)


def test_addresses_keep_one_form() -> None:
    assert EndToEndCheck.model_validate({"guest": 200, "connect": "[2001:DB8::1]:443"}).connect == "[2001:db8::1]:443"
