"""The lab's users, roles and access list: an auditor that only reads, a driller that writes next to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.pve.access import Access

AUDIT, DRILL = "audit@pve", "drill@pve"
TOKEN = "suite"  # noqa: S105 - the token's name
_READ = {"Datastore.Audit", "SDN.Audit", "Sys.Audit", "Sys.Syslog", "VM.Audit"}
_NOTIFICATIONS = "/mapping/notifications"
_CONFIG = {f"VM.Config.{part}" for part in ("CDROM", "Disk", "HWType", "Network", "Options")}
_RESTORE = {"VM.Allocate", "VM.Audit", "VM.Clone", "VM.Console", "VM.PowerMgmt"} | _CONFIG


@dataclass(frozen=True)
class Secrets:
    """The secrets of a started lab: both tokens' secrets and the password of root@pam."""

    audit_token: str
    drill_token: str
    root_password: str


def agent_privileges(access: Access) -> set[str]:
    """Give the privileges that the guest agent asks for in this release."""
    names = {"VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"} & access.privileges
    return names or {"VM.Monitor"}


def audit_role(access: Access) -> set[str]:
    """Give what the auditor holds everywhere; nothing of it writes."""
    return _READ & access.privileges


def drill_role(access: Access) -> set[str]:
    """Give what the driller holds on its temporary guests."""
    return (_RESTORE | agent_privileges(access)) & access.privileges


def seed_access(access: Access, secrets: Secrets, production: Iterable[int]) -> None:
    """Make the users, tokens and roles, and grant them to user and token alike (tokens hold what both have)."""
    access.add_user("root@pam", secrets.root_password)
    for user, secret in ((AUDIT, secrets.audit_token), (DRILL, secrets.drill_token)):
        access.add_user(user)
        access.add_token(user, TOKEN, secret, privsep=1)
    access.add_role("BackupAudit", audit_role(access))
    access.add_role("RestoreDrill", drill_role(access))
    access.add_role("RestoreSource", {"VM.Audit", "VM.Backup"})
    access.add_role("RestoreTarget", {"Datastore.AllocateSpace", "Datastore.Audit"})
    access.add_role("RestoreNode", {"Sys.Audit"})
    lines = [("RestoreNode", "/")]
    lines += [("RestoreSource", f"/vms/{vmid}") for vmid in production]
    lines += [("RestoreDrill", "/pool/drill")]
    lines += [("RestoreTarget", f"/storage/{storage}") for storage in ("backup-hdd", "vmdata")]
    seen = [("BackupAudit", "/")]
    if access.privileges >= {"SDN.Use", "Mapping.Audit"}:
        access.add_role("RestoreBridge", {"SDN.Use"})
        lines += [("RestoreBridge", f"/sdn/zones/localnetwork/{bridge}") for bridge in ("vmbr0", "vmbr9")]
        access.add_role("NotificationAudit", {"Mapping.Audit"})
        seen.append(("NotificationAudit", _NOTIFICATIONS))
    for who in (AUDIT, f"{AUDIT}!{TOKEN}"):
        for role, path in seen:
            access.grant(path, who, role)
    for who in (DRILL, f"{DRILL}!{TOKEN}"):
        for role, path in lines:
            access.grant(path, who, role)
