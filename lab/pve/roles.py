"""Privileges and built-in roles of each release (upstream: PVE/AccessControl.pm): 9.2 and 8.4 recorded, 7 derived."""

from __future__ import annotations

_VM_USER = {"VM.Audit", "VM.Backup", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.PowerMgmt"}
_VM_ADMIN = _VM_USER | {
    "VM.Allocate",
    "VM.Clone",
    "VM.Config.CPU",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Migrate",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
}
_AGENT_USER = {
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
}
_AGENT_ADMIN = _AGENT_USER | {"VM.GuestAgent.Unrestricted", "VM.Replicate"}
_STORAGE = {"Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit"}
_ROOT_ONLY = {
    "Mapping.Modify",
    "Permissions.Modify",
    "Realm.Allocate",
    "Sys.AccessNetwork",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
}
_SHARED: dict[str, set[str]] = {
    "NoAccess": set(),
    "PVEAuditor": {"Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"},
    "PVEDatastoreAdmin": _STORAGE,
    "PVEDatastoreUser": {"Datastore.AllocateSpace", "Datastore.Audit"},
    "PVEMappingAdmin": {"Mapping.Audit", "Mapping.Modify", "Mapping.Use"},
    "PVEMappingUser": {"Mapping.Audit", "Mapping.Use"},
    "PVEPoolAdmin": {"Pool.Allocate", "Pool.Audit"},
    "PVEPoolUser": {"Pool.Audit"},
    "PVESDNAdmin": {"SDN.Allocate", "SDN.Audit", "SDN.Use"},
    "PVESDNUser": {"SDN.Audit", "SDN.Use"},
    "PVESysAdmin": {"Sys.Audit", "Sys.Console", "Sys.Syslog"},
    "PVETemplateUser": {"VM.Audit", "VM.Clone"},
    "PVEUserAdmin": {"Group.Allocate", "Realm.AllocateUser", "User.Modify"},
}


_SINCE_8 = {"Mapping.Audit", "Mapping.Modify", "Mapping.Use", "SDN.Use", "Sys.AccessNetwork"}
_ROLES_SINCE_8 = ("PVEMappingAdmin", "PVEMappingUser", "PVESDNUser")


def builtin_roles(version: str) -> dict[str, set[str]]:
    """The built-in roles of a release.

    9 split VM.Monitor into the VM.GuestAgent privileges and added VM.Replicate. 7 had no Mapping privileges and no
    SDN.Use, and its administrators changed the access list (derived).
    """
    major = int(version.partition(".")[0])
    nine = major >= 9
    roles = {name: set(privs) for name, privs in _SHARED.items()}
    roles["PVEVMUser"] = _VM_USER | (_AGENT_USER if nine else set())
    roles["PVEVMAdmin"] = _VM_ADMIN | (_AGENT_ADMIN if nine else {"VM.Monitor"})
    roles["PVEAuditor"] |= {"VM.GuestAgent.Audit"} if nine else set()
    names = (
        "PVEVMAdmin",
        "PVEDatastoreAdmin",
        "PVEMappingUser",
        "PVEPoolAdmin",
        "PVESDNAdmin",
        "PVESysAdmin",
        "PVEUserAdmin",
    )
    roles["PVEAdmin"] = set[str]().union(*(roles[name] for name in names))
    roles["Administrator"] = roles["PVEAdmin"] | _ROOT_ONLY
    return roles if major >= 8 else _before_8(roles)


def _before_8(roles: dict[str, set[str]]) -> dict[str, set[str]]:
    found = {name: privs - _SINCE_8 for name, privs in roles.items() if name not in _ROLES_SINCE_8}
    for name in ("PVEAdmin", "PVESysAdmin"):
        found[name] |= {"Permissions.Modify"}
    return found


def privileges(version: str) -> set[str]:
    """All privileges that a release knows."""
    return builtin_roles(version)["Administrator"]
