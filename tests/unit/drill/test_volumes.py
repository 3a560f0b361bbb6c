"""What is seen of a VMID's volumes, and what the logs of its tasks tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from backup_standard.drill import guestconfig, tasklogs, volumes
from backup_standard.drill.ports import Ran
from backup_standard.drill.volumes import BY_API, BY_NODE, Sight
from backup_standard.errors import ApiError, MissingPrivilege

DISK = {"volid": "vmdata:vm-201-disk-0", "content": "images"}
POOL_ONLY = {"/storage/vmdata": {"Datastore.Audit": 1, "Datastore.AllocateSpace": 1}}
LISTED = "Volid                Format  Type      Size       VMID\n"


def storage(name: str, **changes: Any) -> dict[str, Any]:
    return {"storage": name, "active": 1, "enabled": 1, "content": "images,rootdir"} | changes


class Api:
    """A node's storages, what each answers to a listing, and the token's rights by path."""

    def __init__(
        self, *shown: dict[str, Any], content: dict[str, Any] | None = None, rights: dict[str, Any] | None = None
    ) -> None:
        self.shown, self.content = shown, content or {}
        self.rights = {"/storage/vmdata": {"Datastore.Allocate": 1}} if rights is None else rights

    def get(self, path: str, /, **params: Any) -> Any:
        if path == "/access/permissions":
            held = self.rights.get(params["path"], {})
            return {params["path"]: held} if held else {}
        if path == "/nodes/pve1/storage":
            return list(self.shown)
        answer = self.content.get(path.split("/")[4], [])
        if isinstance(answer, Exception):
            raise answer
        return answer


class Node:
    """Root on the node, with an answer to ``pvesm list``."""

    def __init__(self, out: str = LISTED, rc: int = 0, err: str = "") -> None:
        self.answer, self.ran = Ran(rc, out, err), []

    def __call__(self, argv: Sequence[str]) -> Ran:
        self.ran.append(tuple(argv))
        return self.answer


def look(api: Api, shell: Node | None = None, *held: str) -> Sight:
    return volumes.look(api, "pve1", 201, held=held or ("vmdata",), shell=shell)


def test_a_token_that_may_see_them_needs_no_node() -> None:
    for rights in (
        {"/storage/vmdata": {"Datastore.Allocate": 1}},
        {"/storage/vmdata": {"Datastore.Audit": 1}, "/vms/201": {"VM.Config.Disk": 1}},
    ):
        node = Node()
        seen = look(Api(storage("vmdata"), content={"vmdata": [DISK]}, rights=rights), node)
        assert (seen.found, dict(seen.by), node.ran) == (("vmdata:vm-201-disk-0",), {"vmdata": BY_API}, [])


def test_archives_of_the_vmid_are_not_its_volumes() -> None:
    archive = {"volid": "vmdata:backup/vzdump-qemu-201-x.vma", "content": "backup"}
    assert look(Api(storage("vmdata"), content={"vmdata": [archive]})).found == ()
    row = f"{LISTED}vmdata:backup/vzdump-qemu-201-x.vma vma backup 12 201\n"
    assert look(Api(storage("vmdata"), rights=POOL_ONLY), Node(row)).found == ()


def test_where_the_token_is_not_shown_them_root_on_the_node_lists_them() -> None:
    node = Node(f"{LISTED}vmdata:vm-201-disk-0 raw     images 4194304 201\nother:x raw images 1 201\n")
    seen = look(Api(storage("vmdata"), rights=POOL_ONLY), node)
    assert (seen.found, dict(seen.by)) == (("vmdata:vm-201-disk-0",), {"vmdata": BY_NODE})
    assert node.ran == [("pvesm", "list", "vmdata", "--vmid", "201")]
    assert seen.said() == ["vmdata: listed by pvesm list on the node"]


def test_without_the_node_such_a_listing_proves_nothing() -> None:
    seen = look(Api(storage("vmdata"), rights=POOL_ONLY))
    assert (seen.blind, dict(seen.by), seen.objections(201)) == (("vmdata",), {}, [])


def test_a_node_that_cannot_list_is_an_objection() -> None:
    seen = look(Api(storage("vmdata"), rights=POOL_ONLY), Node("", 255, "storage 'vmdata' is disabled\n"))
    (said,) = seen.objections(201)
    assert said.endswith(
        "could not be seen: pvesm list vmdata --vmid 201 failed on the node: storage 'vmdata' is disabled"
    )


def test_a_name_that_is_no_storages_is_not_given_to_root() -> None:
    hostile, node = "--help", Node()
    seen = look(Api(storage(hostile), rights={}), node, hostile)
    assert node.ran == []
    assert "is no name of a storage" in seen.objections(201)[0]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"enabled": 0, "active": 0}, "is disabled"),
        ({"active": 0}, "is not active"),
        ({"active": 0, "content": "backup"}, "is not active"),
        (None, "is not among the storages that this token sees"),
    ],
)
def test_the_drills_own_storage_must_be_looked_at(state: dict[str, Any] | None, why: str) -> None:
    shown = [] if state is None else [storage("vmdata", **state)]
    seen = look(Api(*shown))
    assert seen.objections(201) == [f"whether a volume of VMID 201 is on vmdata could not be seen: {why}"]


def test_a_storage_that_is_off_and_none_of_the_drills_is_named_and_no_objection() -> None:
    api = Api(storage("vmdata"), storage("nfs", active=0), storage("old", enabled=0, active=0),
              storage("iso", active=0, content="iso"))  # fmt: skip
    seen = look(api)
    assert seen.objections(201) == []
    assert dict(seen.off) == {"nfs": "is not active", "old": "is disabled"}
    assert "nfs: not looked at, it is not active" in seen.said()


@pytest.mark.parametrize("problem", [ApiError("timeout", status=500), MissingPrivilege("lacks Datastore.Audit")])
def test_an_active_storage_that_cannot_be_listed_is_an_objection(problem: Exception) -> None:
    seen = look(Api(storage("vmdata"), storage("other"), content={"other": problem}))
    (said,) = seen.objections(201)
    assert said.startswith("whether a volume of VMID 201 is on other could not be seen: ")


KEPT = "Could not remove disk 'vmdata:vm-201-disk-0', check manually: lvremove 'vmdata/vm-201-disk-0' error:"
MORE = "  Logical volume vmdata/vm-201-disk-0 in use."
REMOVED = '  Logical volume "vm-201-disk-0" successfully removed.'
PURGE = "purging VM 201 from related configurations.."


@pytest.mark.parametrize(
    ("log", "kept"),
    [
        ([PURGE], {}),
        ([REMOVED, '  Logical volume "vm-201-disk-1" successfully removed.', PURGE], {}),
        ([KEPT, MORE, PURGE], {"vmdata:vm-201-disk-0": KEPT}),
        ([KEPT, MORE, REMOVED, PURGE], {}),
        (["Could not remove disk 'local:201/vm-201-disk-0.qcow2', check manually: unlink failed"],
         {"local:201/vm-201-disk-0.qcow2":
          "Could not remove disk 'local:201/vm-201-disk-0.qcow2', check manually: unlink failed"}),
        (["cannot destroy 'tank/vm-201-disk-1': dataset is busy"],
         {"vm-201-disk-1": "cannot destroy 'tank/vm-201-disk-1': dataset is busy"}),
        (["unlink '/x/images/201/vm-201-disk-0.qcow2' failed - busy"],
         {"vm-201-disk-0.qcow2": "unlink '/x/images/201/vm-201-disk-0.qcow2' failed - busy"}),
        (["cannot destroy 'tank/vm-2010-disk-1': dataset is busy"], {}),
    ],
)  # fmt: skip
def test_what_a_destroy_could_not_remove(log: list[str], kept: dict[str, str]) -> None:
    assert tasklogs.kept_by(log, 201) == kept


def test_a_volume_is_known_by_its_id_or_its_own_name() -> None:
    assert tasklogs.is_named("local:201/vm-201-disk-0.qcow2", "vm-201-disk-0.qcow2")
    assert tasklogs.is_named("vmdata:vm-201-disk-0", "vm-201-disk-0")
    assert not tasklogs.is_named("vmdata:vm-201-disk-1", "vm-201-disk-0")
    assert not tasklogs.is_named("other:vm-201-disk-0", "vmdata:vm-201-disk-0")


def test_what_a_restore_made_and_did_not_take_back() -> None:
    made = ["new volume ID is 'local:201/vm-201-disk-0.raw'", "new volume ID is 'local:201/vm-201-disk-1.raw'",
            "progress 1% (read 1 bytes, duration 0 sec)"]  # fmt: skip
    undone = "temporary volume 'local:201/vm-201-disk-0.raw' successfully removed"
    assert tasklogs.made_by(made) == {"local:201/vm-201-disk-0.raw", "local:201/vm-201-disk-1.raw"}
    assert tasklogs.made_by([*made, undone]) == {"local:201/vm-201-disk-1.raw"}


def test_a_copys_own_volumes_are_told_by_their_name() -> None:
    config = {
        "scsi0": "vmdata:vm-201-disk-0,size=4G", "ide2": "vmdata:vm-201-cloudinit,media=cdrom",
        "scsi1": "none,media=cdrom",
        "unused0": "vmdata:vm-201-disk-7", "ide0": "local:iso/debian.iso,media=cdrom", "mp0": "/srv,mp=/srv",
        "virtio1": "vmdata:vm-2011-disk-0", "name": "vm-201-x",
    }  # fmt: skip
    own = ["vmdata:vm-201-cloudinit", "vmdata:vm-201-disk-0", "vmdata:vm-201-disk-7"]
    assert guestconfig.own_volumes(config, 201) == own
    assert guestconfig.disk_sizes(config | {"sata0": "local:iso/x.iso,media=cdrom,size=600M"}) == {"scsi0": 4 << 30}
