"""A first inventory as text: what was discovered, with a comment wherever a person has to look."""

from __future__ import annotations

import json
import re
import zoneinfo
from collections import Counter
from collections.abc import Iterator

from backup_standard.cli.discover import Discovered
from backup_standard.inventory.schema import REQUIRED_ROLES, ApiSection
from backup_standard.model import Guest, GuestKind

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"})
_HINTS = {"docker": "docker-host", "dns": "dns", "monitoring": "monitoring", "monitor": "monitoring"}
"""Parts of a name that hint at a role: no proof, so they only make a comment."""
_ROLES = "docker-host, dns, monitoring, client-data, infrastructure, scratch"
_FIRST_RANGE, _RANGE, _WIDTH = 9000, 100, 64


def draft(found: Discovered, api: ApiSection, *, client: str, made: str, schema: bool = True) -> str:
    """The inventory of a site; ``made`` says when and how, for the first comment."""
    parts = [
        _head(found, made, schema=schema),
        _site(found, client),
        _api(api, client),
        _nodes(found),
        _policy(found),
        _drill(found),
        _guests(found),
        _required(found),
    ]
    return "\n".join("\n".join(part) + "\n" for part in parts)


def scalar(text: str) -> str:
    """Text as YAML writes it on one line: plain where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(
        "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text), ensure_ascii=False
    )


def _comment(text: str) -> str:
    """Text that stays within its comment."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _head(found: Discovered, made: str, *, schema: bool) -> Iterator[str]:
    if schema:
        yield "# yaml-language-server: $schema=schema.json"
        yield "#"
    yield f"# Drafted from what the site shows (Proxmox VE {_comment(found.release)}) on {_comment(made)}"
    yield '# Go through every line that says "check"; inventories/README.md explains the keys.'
    for gap in found.gaps:
        yield f"# NOT SEEN: {_comment(gap.fact)}: {_comment(gap.reason)}; needed: {_comment(gap.need or 'unknown')}"


def _site(found: Discovered, client: str) -> Iterator[str]:
    zones = Counter(zone for zone in found.zones.values() if zone in zoneinfo.available_timezones())
    zone = zones.most_common(1)[0][0] if zones else "UTC"
    said = ", ".join(f"{node} {seen or 'not shown'}" for node, seen in found.zones.items()) or "not shown"
    yield f"client: {scalar(client)}"
    yield "class: real"
    yield f"# check: the time zone of the place; the nodes' own: {_comment(said)}"
    yield f"site: {{name: {scalar(found.name)}, timezone: {zone}}}"


def _api(api: ApiSection, client: str) -> Iterator[str]:
    variable = re.sub(r"\W", "_", client).upper()
    yield "api:"
    yield f"  url: {api.url}"
    if api.ca:
        yield f"  ca: {scalar(api.ca)}"
    if api.fingerprint:
        yield f'  fingerprint: "{api.fingerprint}"'
    yield f"  audit_token: {{id: {scalar(api.audit_token.id)}, secret: {scalar(api.audit_token.secret)}}}"
    yield f'  # drill_token: {{id: "drill@pve!suite", secret: "env:{variable}_DRILL_TOKEN"}}   # restore drills need it'


def _nodes(found: Discovered) -> Iterator[str]:
    yield "# Without SSH to the nodes, what only they show (mounts, disks, job states) stays unknown, which is red."
    yield "# nodes:"
    for name, address in found.nodes.items():
        yield f"#   {_comment(scalar(name))}: {{ssh: root@{_comment(address) or 'ADDRESS'}}}"


def _policy(found: Discovered) -> Iterator[str]:
    storages = found.backup_storages
    if not storages:
        yield "# check: no storage of type dir takes backups on this site; the policy demands a dedicated one."
        yield "policy: {storage: backup-hdd}"
        return
    first, *others = storages
    jobs = len(found.jobs_to(first.id))
    wrote = f"{jobs} enabled job{' writes' if jobs == 1 else 's write'} to it"
    yield f"# check: the dedicated backup storage; {_comment(first.id)} lies at {_comment(first.path or '?')}, {wrote}."
    for other in others:
        yield f"# Backups are taken by {_comment(other.id)} ({_comment(other.path or '?')}) too."
    yield f"policy: {{storage: {scalar(first.id)}}}"


def _drill(found: Discovered) -> Iterator[str]:
    """The ground for drills; as comments where the site has no isolated bridge or no place for disks."""
    backups = {one.id for one in found.backup_storages[:1]}
    storages = [one for one in found.disk_storages if one not in backups]
    bridge, nodes = next(iter(found.bridges.items()), ("vmbr9", ()))
    ready = bool(found.bridges and storages)
    mark = "" if ready else "# "
    if not ready:
        lacking = "bridge without ports and addresses" if not found.bridges else "storage for guests' disks"
        yield f"# Restore drills need a {lacking}; there is none yet."
    where = f"no ports and no address on {', '.join(nodes)}" if nodes else "to be made"
    yield f"{mark}drill:"
    yield f"{mark}  bridge: {scalar(bridge)}   # check: {_comment(where)}; restored copies must not reach production"
    yield f"{mark}  storage: {scalar(storages[0] if storages else 'local-lvm')}   # check: takes the restored disks"
    yield f"{mark}  vmids: {_free_range(found.guests)}   # check: reserved for drills; what is in it may be deleted"


def _free_range(guests: tuple[Guest, ...]) -> str:
    """The first hundred of VMIDs, from 9000 on, that no guest is in."""
    taken = {guest.vmid // _RANGE for guest in guests}
    first = next(one for one in range(_FIRST_RANGE // _RANGE, 10**7) if one not in taken) * _RANGE
    return f"{first}-{first + _RANGE - 1}"


def _guests(found: Discovered) -> Iterator[str]:
    if not found.guests:
        yield "# check: the token sees no guest at all."
        yield "guests: {}"
        return
    templates = [guest for guest in found.guests if guest.template]
    yield f"# Roles: golden-template, {_ROLES}."
    yield "# Only scratch goes without backup, and wants a reason: exempt: {reason: build cache, until: 2027-03-31}."
    yield "guests:"
    roles = ["golden-template" if templates == [guest] else "client-data" for guest in found.guests]
    lines = [
        f"  {guest.vmid}: {{role: {role}, name: {scalar(guest.name)}}}"
        for guest, role in zip(found.guests, roles, strict=True)
    ]
    width = min(max(map(len, lines)), _WIDTH)
    for line, guest, role in zip(lines, found.guests, roles, strict=True):
        yield f"{line:<{width}}   # {_about(guest, found, role)}"


def _about(guest: Guest, found: Discovered, role: str) -> str:
    """What a person needs to classify a guest."""
    kind = "container" if guest.kind is GuestKind.LXC else "template" if guest.template else "VM"
    jobs = ", ".join(found.jobs_of(guest.vmid))
    seen = f"{kind} on {guest.node}, {f'backed up by {jobs}' if jobs else 'in no enabled backup job'}"
    hints = {_HINTS[part] for part in re.split(r"[^a-z]+", guest.name.lower()) if part in _HINTS}
    if role == "golden-template":
        return _comment(f"the only {seen}")
    if guest.template:
        return _comment(f"check: golden-template? one of several; {seen}")
    return _comment(f"check{f': {hints.pop()}, by its name' if len(hints) == 1 else ''}? {seen}")


def _required(found: Discovered) -> Iterator[str]:
    has_template = sum(guest.template for guest in found.guests) == 1
    open_roles = [role for role in REQUIRED_ROLES if role != "golden-template" or not has_template]
    yield f"# The standard demands these roles too: {', '.join(open_roles)}. Give them to guests above, or say why not:"
    yield "# not_deployed: {monitoring: comes with phase 2}"
