"""Privileges and built-in roles of each release, as recorded (upstream: PVE/AccessControl.pm)."""

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


def builtin_roles(version: str) -> dict[str, set[str]]:
    """The built-in roles of a release; 9 split VM.Monitor into the VM.GuestAgent privileges and added VM.Replicate."""
    nine = not version.startswith("8")
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
    return roles


def privileges(version: str) -> set[str]:
    """All privileges that a release knows."""
    return builtin_roles(version)["Administrator"]
