"""The table of what a reading lacked, from its gaps."""

from __future__ import annotations

from backup_standard.report import rights
from backup_standard.standard.lacking import Lack, lacks
from backup_standard.standard.privileges import AUDIT, DRILL_GUEST, NODE_RULES, release_of


def gap(need: str, fact: str = "x", reason: str = "y") -> dict[str, str]:
    return {"fact": fact, "reason": reason, "need": need}


def test_a_privilege_is_named_once_with_its_rules_and_its_command() -> None:
    many = [gap(f"VM.Audit on /vms/{vmid}: pveum acl modify /vms/{vmid} …") for vmid in range(100, 106)]
    (one,) = lacks([*many, many[0]])
    assert one.what == "VM.Audit on /vms/100, /vms/101, /vms/102, /vms/103 and 2 more"
    assert one.cure == "pveum acl modify /vms/100 …"
    assert "TGT-02" in one.rules


def test_the_root_stands_for_everything_below_it() -> None:
    (one,) = lacks([gap("Sys.Audit on /nodes/pve1: a"), gap("Sys.Audit on /: b")])
    assert (one.what, one.cure) == ("Sys.Audit on /", "b")


def test_of_alternatives_the_first_counts_and_a_command_may_be_missing() -> None:
    (one,) = lacks([gap("Datastore.Audit|Datastore.AllocateSpace on /storage/x")])
    assert (one.what, one.cure) == ("Datastore.Audit on /storage/x", "")
    assert "VER-02" in one.rules


def test_a_privilege_that_the_audit_is_not_known_to_need_is_told_by_its_fact() -> None:
    assert lacks([gap("Sys.Modify on /: z", fact="the kernel's modules")]) == (
        Lack("Sys.Modify on /", "the kernel's modules", (), "z"),
    )


def test_a_node_without_ssh_is_one_line() -> None:
    need = "SSH to it: in the inventory, nodes: {pve1: {ssh: root@HOST}}"
    reason = "the inventory has no SSH for it"
    (one,) = lacks([gap(need, f"{what} of node pve1", reason) for what in ("the mounts", "the journal")])
    assert one == Lack(
        "SSH to node pve1",
        "mounts, disks and files (the inventory has no SSH for it)",
        NODE_RULES,
        "in the inventory, nodes: {pve1: {ssh: root@HOST}}",
    )


def test_other_gaps_are_no_matter_of_rights() -> None:
    assert (
        lacks([gap(""), gap("pve2 online", "node pve2"), gap("smartctl on the node"), {"fact": "x", "reason": "y"}])
        == ()
    )
    assert rights.missing({"gaps": [gap("util-linux there")]}) == ""
    assert rights.missing({}) == ""


def test_hostile_names_stay_text_in_the_report() -> None:
    html = rights.missing({"gaps": [gap("Datastore.Audit on /storage/<b>x</b>: pveum acl modify '/storage/<b>x</b>'")]})
    assert "<b>" not in html
    assert "/storage/&lt;b&gt;x&lt;/b&gt;" in html


def test_releases_are_numbers_and_a_major_one_alone_is_its_last() -> None:
    assert [release_of(text) for text in ("8.4", "8.4.21", "7", "")] == [(8, 4), (8, 4), (7, 99), (9, 0)]
    assert [one.name for one in AUDIT if not one.known_in((8, 0))] == ["Mapping.Audit"]
    assert [one.name for one in DRILL_GUEST if not one.known_in((9, 0))] == ["VM.Monitor"]
