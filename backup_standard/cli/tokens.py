"""The commands that make an API token with the least rights, for a release and with a site's own names."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator

from backup_standard.inventory.schema import Inventory
from backup_standard.standard.privileges import AUDIT, DISCOVERY, DRILL_ROLES, NOTIFICATIONS, Privilege, Release

_AUDIT_ID, _DRILL_ID = "audit@pve!suite", "drill@pve!suite"
_SDN = (8, 0)
"""The first release that asks for rights on a bridge."""


def audit_token(release: Release, inventory: Inventory | None = None) -> str:
    """The commands for the audit token, one a line, comments included."""
    token = inventory.api.audit_token.id if inventory else _AUDIT_ID
    everywhere = [one for one in AUDIT if one.path == "/"] + [DISCOVERY]
    notified = [one for one in AUDIT if one.path == NOTIFICATIONS and one.known_in(release)]
    return _text(
        f"# Proxmox VE {release[0]}: an audit token that sees everything and changes nothing. On a node, once:",
        _role("BackupAudit", everywhere, release),
        *_user_and_token(token),
        _acl("/", "BackupAudit", token),
        *_notified(notified, release, token),
        *_reasons((*everywhere, *notified), release),
    )


def _notified(needs: list[Privilege], release: Release, token: str) -> Iterator[str]:
    if needs:
        yield from ("", "# 8.1 and later: who is told of a failed backup (VER-07)")
        yield _role("NotificationAudit", needs, release)
        yield _acl(NOTIFICATIONS, "NotificationAudit", token)


def drill_token(release: Release, inventory: Inventory | None = None) -> str:
    """The commands for the drill token: rights on a pool, on the drilled guests, two storages and the bridges."""
    token = inventory.api.drill_token.id if inventory and inventory.api.drill_token else _DRILL_ID
    ground = inventory.drill if inventory else None
    pool = (ground.pool if ground else None) or "drill"
    storages = [
        inventory.policy.storage if inventory else "BACKUP-STORAGE",
        ground.storage if ground else "DRILL-STORAGE",
    ]
    guests = [vmid for vmid, guest in inventory.guests.items() if guest.drill] if inventory else ["VMID"]
    zone = "/sdn/zones/localnetwork"
    roles = {name: needs for name, needs in DRILL_ROLES.items() if any(one.known_in(release) for one in needs)}
    bridges = (
        "",
        "# the isolated bridge, and each bridge that the drilled guests are on (their archives name it)",
        _acl(f"{zone}/{ground.bridge if ground else 'ISOLATED-BRIDGE'}", "RestoreBridge", token),
        _acl(f"{zone}/BRIDGE", "RestoreBridge", token),
    )
    return _text(
        f"# Proxmox VE {release[0]}: a drill token that restores into one pool and nowhere else. On a node, once:",
        f"pveum pool add {shlex.quote(pool)}",
        *(_role(name, needs, release) for name, needs in roles.items()),
        *_user_and_token(token),
        _acl("/", "RestoreNode", token),
        "",
        "# temporary guests: rights on the pool stay when a drill deletes its guest, rights on a VMID go with it",
        _acl(f"/pool/{pool}", "RestoreDrill", token),
        "",
        "# where the archives are, and where the restored disks go",
        *(_acl(f"/storage/{storage}", "RestoreTarget", token) for storage in dict.fromkeys(storages)),
        *(_PROTECTING if ground and ground.protect_archive else ()),
        "",
        "# each guest that is drilled",
        *(_acl(f"/vms/{vmid}", "RestoreSource", token) for vmid in guests),
        *(bridges if release >= _SDN else ()),
        *_reasons(dict.fromkeys(one for needs in roles.values() for one in needs), release),
    )


_PROTECTING = (
    "# drill.protect_archive needs nothing more: Datastore.AllocateSpace here and VM.Backup on the guest, which read",
    "# an archive, protect it as well. Without Datastore.Allocate that goes for 5 archives of a guest on a storage,",
    "# unless the storage says otherwise: pvesm set STORAGE --max-protected-backups N",
)


def _role(name: str, needs: Iterable[Privilege], release: Release) -> str:
    names = ",".join(sorted({one.name for one in needs if one.known_in(release)}))
    return f'pveum role add {name} --privs "{names}"'


def _user_and_token(token: str) -> Iterator[str]:
    user, _, name = token.partition("!")
    yield shlex.join(["pveum", "user", "add", user])
    yield shlex.join(["pveum", "user", "token", "add", user, name]) + "   # shows the secret, once"


def _acl(path: str, role: str, token: str) -> str:
    """A token has what both it and its user were given, so both are given it."""
    user = token.partition("!")[0]
    return shlex.join(["pveum", "acl", "modify", path, "--users", user, "--tokens", token, "--roles", role])


def _reasons(needs: Iterable[Privilege], release: Release) -> Iterator[str]:
    yield from ("", "# What each privilege is for:")
    reasons: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in needs:
        if one.known_in(release):
            reasons.setdefault((one.shows, one.rules), []).append(one.name)
    for (shows, rules), names in reasons.items():
        without = f"; without it these rules are unknown: {', '.join(sorted(rules))}" if rules else ""
        text = f"{', '.join(names)}: {shows}{without}"
        yield from textwrap.wrap(text, 110, initial_indent="#   ", subsequent_indent="#     ", break_on_hyphens=False)


def _text(*lines: str) -> str:
    return "\n".join(lines)
