"""Make the lab's trimmed API schema from a complete Proxmox VE API schema file.

Usage: python scripts/trim_api_schema.py FULL_SCHEMA.json VERSION OUT.json

The complete file maps "GET /path" to what the API viewer shows: parameters, return value, permissions.
Kept are names, types, limits, formats and permissions of the routes the lab may serve; prose is dropped, equal property
formats are stored once, and families such as net0 … net31 become one entry ``net[n]``.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

Json = dict[str, object]

SERVED = re.compile(
    r" (/|/version|/pools.*|/storage.*|/nodes|/nodes/\{node\}"
    r"|/cluster|/cluster/(resources|status|nextid|tasks|log|options)|/cluster/(ha|replication|backup|backup-info|jobs)(/.*)?"
    r"|/cluster/firewall(/(options|refs))?|/cluster/notifications/(matchers|targets)"
    r"|/access|/access/(acl|users|roles|ticket|permissions|password|groups|domains)(/.*)?"
    r"|/nodes/\{node\}/(status|time|services|network|disks|dns|version|syslog|journal|certificates|tasks|qemu|lxc|storage"
    r"|vzdump|replication|subscription|config|hosts|apt|report|rrddata|netstat|firewall|capabilities|scan|hardware)(/.*)?)$",
)
KEPT = (
    "type",
    "optional",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "enum",
    "requires",
    "default_key",
    "alias",
    "keyAlias",
)


FAMILIES = {
    "acmedomain": 6, "hostpci": 16, "ide": 4, "ipconfig": 32, "mp": 256, "net": 32, "numa": 8, "parallel": 3,
    "sata": 6, "scsi": 31, "serial": 4, "unused": 256, "usb": 14, "virtio": 16,
}  # fmt: skip
"""How many there are of a family that the source has folded itself, as the schema of the API viewer does."""


class Formats:
    """Property-string formats, each stored once and referred to by its number."""

    def __init__(self) -> None:
        """Start with none."""
        self.table: list[Json] = []
        self._numbers: dict[str, int] = {}

    def number(self, properties: Json) -> int:
        """Return the number under which these properties stand in the table."""
        trimmed = {name: self.trim(value) for name, value in sorted(properties.items()) if isinstance(value, dict)}
        key = json.dumps(trimmed, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.table)
            self.table.append(trimmed)
        return self._numbers[key]

    def trim(self, parameter: Json) -> Json:
        """Keep what a parameter check needs of one parameter."""
        kept: Json = {key: parameter[key] for key in KEPT if key in parameter}
        form = parameter.get("format")
        if isinstance(form, dict):
            kept["properties"] = self.number(form)
        elif form is not None:
            kept["format"] = form
        items = parameter.get("items")
        if isinstance(items, dict):
            kept["items"] = self.trim(items)
        return kept


def counted(name: str, value: object) -> object:
    """A parameter, with the number of its family where the source has folded that."""
    found = re.fullmatch(r"([a-z]+)\[n\]", name)
    return {**value, "count": FAMILIES[found[1]]} if found and isinstance(value, dict) else value


def collapse(parameters: Json) -> Json:
    """Fold families of numbered parameters (net0, net1 …) that are all alike into one entry "net[n]" with a count."""
    families: dict[str, list[int]] = {}
    for name in parameters:
        if found := re.fullmatch(r"([a-z]+)(\d+)", name):
            families.setdefault(found[1], []).append(int(found[2]))
    folded = {name: counted(name, value) for name, value in parameters.items()}
    for stem, numbers in families.items():
        if sorted(numbers) != list(range(len(numbers))) or numbers == [0]:
            continue
        first = parameters[f"{stem}0"]
        if not isinstance(first, dict) or any(parameters[f"{stem}{number}"] != first for number in numbers):
            continue
        for number in numbers:
            del folded[f"{stem}{number}"]
        folded[f"{stem}[n]"] = {**first, "count": len(numbers)}
    return folded


def trim_route(route: Json, formats: Formats) -> Json:
    """Keep parameters, permissions and the kind of return value of one route."""
    parameters = route.get("parameters")
    properties = parameters.get("properties", {}) if isinstance(parameters, dict) else {}
    permissions = route.get("permissions")
    returns = route.get("returns")
    trimmed: Json = {"parameters": collapse({name: formats.trim(value) for name, value in sorted(properties.items())})}
    if isinstance(permissions, dict):
        trimmed["permissions"] = {key: permissions[key] for key in ("user", "check") if key in permissions}
    if isinstance(returns, dict) and "type" in returns:
        trimmed["returns"] = returns["type"]
        if index := index_key(returns):
            trimmed["index"] = index
    return trimmed


def index_key(returns: Json) -> str | None:
    """The key under which a directory index names its entries; None when the route is no bare index."""
    links, items = returns.get("links"), returns.get("items")
    if not isinstance(links, list) or not isinstance(items, dict):
        return None
    properties = items.get("properties")
    if isinstance(properties, dict) and len(properties) > 1:
        return None
    found = re.fullmatch(r"\{(subdir|name)\}", str(links[0].get("href")))
    return found[1] if found else None


def main(source: str, version: str, target: str) -> int:
    """Write the trimmed file and say how large it became."""
    full = json.loads(Path(source).read_text())
    formats = Formats()
    routes: Json = {"GET /": {"index": "subdir", "parameters": {}, "permissions": {"user": "all"}, "returns": "array"}}
    routes |= {key: trim_route(route, formats) for key, route in sorted(full.items()) if SERVED.search(key)}
    lines = [
        f"{json.dumps(key)}: {json.dumps(route, separators=(',', ':'), sort_keys=True)}"
        for key, route in routes.items()
    ]
    table = [json.dumps(entry, separators=(",", ":"), sort_keys=True) for entry in formats.table]
    text = (
        f'{{"version": {json.dumps(version)},\n"formats": [\n'
        + ",\n".join(table)
        + '\n],\n"routes": {\n'
        + ",\n".join(lines)
        + "\n}}\n"
    )
    Path(target).write_text(text)
    sys.stdout.write(f"{target}: {len(routes)} routes, {len(table)} formats, {len(text)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
