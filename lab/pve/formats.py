"""Checks of parameter formats: names such as "pve-vmid", and property strings such as ``virtio=MAC,bridge=vmbr0``.

The texts are the ones clients see (upstream: PVE/JSONSchema.pm). A format that is not listed here is not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.pve import calendar, retention

Schema = Mapping[str, Any]
"""One parameter of the trimmed schema."""


def split_list(value: str) -> list[str]:
    """Split a list parameter: commas, semicolons, blanks and NUL separate (upstream: PVE/Tools.pm split_list)."""
    return [part for part in re.split(r"[,;\s\0]+", value) if part]


def _matcher(pattern: str, text: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)

    def check(value: str) -> str | None:
        return None if compiled.fullmatch(value) else text.format(value=value)

    return check


_HOST = r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?"
_USER = r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+"
_CONTENT = {"images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"}


def _mac(value: str) -> str | None:
    if re.fullmatch(r"[a-f0-9][02468ace](?::[a-f0-9]{2}){5}", value, re.IGNORECASE):
        return None
    return "value does not look like a valid unicast MAC address\n"


def _content(value: str) -> str | None:
    return None if value in _CONTENT else f"invalid content type '{value}'\n"


def _calendar_event(value: str) -> str | None:
    try:
        calendar.parse(value)
    except calendar.CalendarError as error:
        return f"invalid calendar event '{value}' - {error}\n\n"
    return None


def _prune_backups(value: str) -> str | None:
    try:
        retention.parse(value)
    except retention.RetentionError as error:
        return str(error)
    return None


def _octets(value: str) -> bool:
    parts = value.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _ipv4(value: str) -> str | None:
    return None if _octets(value) else "value does not look like a valid IPv4 address"


def _cidr(value: str) -> str | None:
    address, _, bits = value.partition("/")
    if (_octets(address) and bits.isdigit() and int(bits) <= 32) or (":" in address and bits.isdigit()):
        return None
    return "value does not look like a valid CIDR network"


CHECKS: dict[str, Callable[[str], str | None]] = {
    "pve-vmid": _matcher(r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID\n"),
    "pve-node": _matcher(_HOST, "value does not look like a valid node name\n"),
    "pve-storage-id": _matcher(
        r"(?i:[a-z][a-z0-9\-_.]*[a-z0-9])", "storage ID '{value}' contains illegal characters\n"
    ),
    "pve-configid": _matcher(r"(?i:[a-z][a-z0-9_-]+)", "invalid configuration ID '{value}'\n"),
    "pve-poolid": _matcher(
        r"[A-Za-z0-9.\-_]+(/[A-Za-z0-9.\-_]+){0,2}", "value '{value}' does not look like a valid poolid\n"
    ),
    "pve-userid": _matcher(_USER, "value '{value}' does not look like a valid user name\n"),
    "pve-tokenid": _matcher(
        _USER + r"![A-Za-z][A-Za-z0-9.\-_]+", "value '{value}' does not look like a valid token ID\n"
    ),
    "pve-roleid": _matcher(r"[A-Za-z0-9.\-_]+", "role name '{value}' contains invalid characters\n"),
    "pve-groupid": _matcher(r"[A-Za-z0-9.\-_]+", "group name '{value}' contains invalid characters\n"),
    "pve-realm": _matcher(r"[A-Za-z][A-Za-z0-9.\-_]+", "value does not look like a valid realm\n"),
    "pve-iface": _matcher(r"(?i:[a-z][a-z0-9_]{1,20}([:.]\d+)?)", "invalid network interface name '{value}'\n"),
    "pve-bridge-id": _matcher(r"[-_.\w]+", "invalid bridge ID '{value}'\n"),
    "pve-storage-content": _content,
    "pve-calendar-event": _calendar_event,
    "prune-backups": _prune_backups,
    "pve-tag": _matcher(r"(?i:[a-z0-9_][a-z0-9_\-+.]*)", "invalid characters in tag\n"),
    "dns-name": _matcher(rf"({_HOST}\.)*{_HOST}", "value does not look like a valid DNS name\n"),
    "mac-addr": _mac,
    "ipv4": _ipv4,
    "CIDRv4": _cidr,
    "disk-size": _matcher(r"\d+(\.\d+)?[KMGT]?", "value does not look like a valid disk size: {value}\n"),
    "pve-task-status-type": _matcher("ok|error|warning|unknown", "value '{value}' is not a valid task status type\n"),
    "pve-startup-order": _matcher(r"(order=)?\d*(,?(up|down|order)=\d+)*", "unable to parse startup options\n"),
}
"""Format name → check; a check returns what is wrong or None."""


def check_format(name: str, value: str) -> str | None:
    """What is wrong with a value of this named format, or None."""
    if (check := CHECKS.get(name)) is not None:
        return check(value)
    for suffix in ("-list", "-opt"):
        if name.endswith(suffix) and (check := CHECKS.get(name.removesuffix(suffix))) is not None:
            parts = split_list(value) if suffix == "-list" else [value] * bool(value)
            return next((text for part in parts if (text := check(part)) is not None), None)
    return None


def python_pattern(pattern: str) -> str:
    """A Perl pattern as printed in the schema, in Python's spelling."""
    return re.sub(r"\(\?\^(i?):", lambda found: "(?i:" if found[1] else "(?:", pattern)


def parse_properties(schema: Mapping[str, Schema], text: str) -> dict[str, str] | str:
    """Split a property string into its keys, or say what is wrong (upstream: parse_property_string)."""
    default = next((name for name, entry in schema.items() if entry.get("default_key")), None)
    found: dict[str, str] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        if not equals:
            if default is None or default in found:
                return (
                    "value without key, but schema does not define a default key\n"
                    if default is None
                    else ("duplicate key in comma-separated list property: " + default + "\n")
                )
            key, value = default, part
        elif "alias" in schema.get(key, {}):
            alias = schema[key]
            if "keyAlias" in alias:
                found[alias["keyAlias"]] = key
            key = alias["alias"]
        if key in found:
            return f"duplicate key in comma-separated list property: {key}\n"
        found[key] = value
    return found


__all__ = ["CHECKS", "Schema", "check_format", "parse_properties", "python_pattern", "split_list"]
