"""The JSON Schema for editors stays in step with the models and agrees with them on the inventories at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from backup_standard.inventory.schema import json_schema

INVENTORIES = Path(__file__).parents[3] / "inventories"


def instance(text: Any) -> Any:
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))


def test_the_schema_beside_the_inventories_is_the_models_own() -> None:
    assert json.loads((INVENTORIES / "schema.json").read_text()) == json_schema(), (
        "run: backup-standard inventory schema > inventories/schema.json"
    )


@pytest.mark.parametrize("name", ["example.yaml", "lab.yaml"])
def test_the_schema_accepts_the_inventories(name: Any) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(instance((INVENTORIES / name).read_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [("role: dns", "role: dnss"), ("rto: 30m", "rto: 30"), ("client: acme", "klient: acme"), ("rto: 30m", "rto: soon")],
)
def test_the_schema_refuses_what_the_loader_refuses(old: Any, new: Any) -> None:
    text = (INVENTORIES / "example.yaml").read_text()
    assert old in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json_schema()).validate(instance(text.replace(old, new)))


def test_durations_are_text_with_their_defaults_as_written() -> None:
    schema = json_schema()
    policy = schema["$defs"]["PolicySection"]["properties"]
    assert policy["rpo"]["default"] == "1d 2h"
    assert policy["rpo"]["type"] == "string"
    assert schema["$defs"]["DrillOfGuest"]["properties"]["boot_timeout"]["default"] == "10m"
