"""Who may do what: inheritance, tokens, pools, roles of both releases, tickets."""

from __future__ import annotations

import pytest

from lab.pve.call import Call
from lab.pve.dispatch import Request, answer
from lab.pve.site import GuestRecord, Pool, Site
from tests.lab_unit.pve.stubs import ROOT, ask, bare_site, data

AUDIT = "PVEAPIToken=audit@pve!suite=s"


@pytest.fixture
def site() -> Site:
    site = bare_site()
    site.access.add_user("audit@pve", "long-password")
    site.access.add_token("audit@pve", "suite", "s")
    site.access.add_token("audit@pve", "full", "f", privsep=0)
    site.access.add_role("BackupAudit", {"Sys.Audit", "VM.Audit", "Datastore.Audit", "Pool.Audit"})
    return site


def held(site: Site, who: str, path: str) -> set[str]:
    return set(site.access.permissions(who, path))


def test_a_privsep_token_holds_only_what_user_and_token_both_hold(site: Site) -> None:
    site.access.grant("/", "audit@pve", "BackupAudit")
    assert held(site, "audit@pve!suite", "/") == set()
    site.access.grant("/vms", "audit@pve!suite", "PVEVMAdmin")
    assert held(site, "audit@pve!suite", "/vms/100") == {"VM.Audit"}
    assert held(site, "audit@pve!full", "/vms/100") == {"Sys.Audit", "VM.Audit", "Datastore.Audit", "Pool.Audit"}


def test_a_deeper_entry_replaces_what_is_inherited(site: Site) -> None:
    site.access.grant("/", "audit@pve", "BackupAudit")
    site.access.grant("/vms/200", "audit@pve", "PVEDatastoreUser")
    assert held(site, "audit@pve", "/vms/200") == {"Datastore.AllocateSpace", "Datastore.Audit"}
    assert "VM.Audit" in held(site, "audit@pve", "/vms/201")


def test_an_entry_without_propagation_ends_at_its_path(site: Site) -> None:
    site.access.grant("/vms", "audit@pve", "PVEVMUser", propagate=0)
    assert site.access.permissions("audit@pve", "/vms")["VM.Audit"] == 0
    assert held(site, "audit@pve", "/vms/100") == set()


def test_no_access_takes_everything_away(site: Site) -> None:
    site.access.grant("/", "audit@pve", "Administrator")
    site.access.grant("/vms/100", "audit@pve", "NoAccess")
    assert held(site, "audit@pve", "/vms/100") == set()


def test_entries_of_a_user_beat_those_of_its_groups(site: Site) -> None:
    site.access.groups["ops"] = ""
    site.access.users["audit@pve"].groups.add("ops")
    site.access.grant("/vms", "ops", "PVEVMAdmin", group=True)
    assert "VM.Allocate" in held(site, "audit@pve", "/vms/100")
    site.access.grant("/vms", "audit@pve", "PVEVMUser")
    assert "VM.Allocate" not in held(site, "audit@pve", "/vms/100")


def test_rights_on_a_pool_reach_its_guests_and_no_others(site: Site) -> None:
    site.pools["drill"] = Pool()
    site.guests[201] = GuestRecord(201, "qemu", "pve1", pool="drill")
    site.guests[202] = GuestRecord(202, "qemu", "pve1")
    site.access.grant("/pool/drill", "audit@pve", "PVEVMAdmin")
    assert "VM.Allocate" in held(site, "audit@pve", "/vms/201")
    assert held(site, "audit@pve", "/vms/202") == set()


def test_only_root_itself_is_root(site: Site) -> None:
    assert Call(site, "root@pam").is_root
    assert not Call(site, "root@pam!suite").is_root


@pytest.mark.parametrize(
    ("version", "refused"), [("9.2", "VM.Monitor"), ("8.4", "VM.GuestAgent.Audit"), ("7.4", "SDN.Use")]
)
def test_a_role_with_a_privilege_of_another_release_is_refused(version: str, refused: str) -> None:
    site = bare_site(version)  # type: ignore[arg-type]
    got = ask(site, "POST", "/access/roles", roleid="X", privs=f"VM.Audit,{refused}")
    assert got.status == 400
    assert got.body
    assert got.body["errors"] == {"privs": f"invalid format - invalid privilege '{refused}'\n"}
    assert "X" not in site.access.roles


@pytest.mark.parametrize(("version", "count", "known"), [("9.2", 47, 17), ("8.4", 42, 17), ("7.4", 37, 14)])
def test_the_administrator_holds_as_many_privileges_as_recorded(version: str, count: int, known: int) -> None:
    roles = {role["roleid"]: role for role in data(bare_site(version), "GET", "/access/roles")}  # type: ignore[arg-type]
    assert len(roles["Administrator"]["privs"].split(",")) == count
    assert len(roles) == known
    assert roles["NoAccess"] == {"roleid": "NoAccess", "privs": "", "special": 1}


@pytest.mark.parametrize(
    "token",
    [
        "PVEAPIToken=root@pam!suite=wrong",
        "PVEAPIToken=root@pam!nope=root-secret",
        "PVEAPIToken=ghost@pve!x=y",
        "PVEAPIToken=garbage",
    ],
)
def test_a_token_that_proves_nothing_is_refused_without_a_body(site: Site, token: str) -> None:
    got = ask(site, "GET", "/version", token)
    assert (got.status, got.reason, got.body) == (401, "Authentication failed!", None)


def test_without_credentials_there_is_no_ticket(site: Site) -> None:
    for token in ("", "Bearer garbage"):
        got = ask(site, "GET", "/version", token)
        assert (got.status, got.reason, got.body) == (401, "No ticket", None)


def test_an_expired_token_and_a_disabled_user_are_refused(site: Site) -> None:
    site.access.users["audit@pve"].tokens["suite"].expire = site.now() - 1
    assert ask(site, "GET", "/version", AUDIT).status == 401
    site.access.users["audit@pve"].tokens["suite"].expire = site.now() + 1
    assert ask(site, "GET", "/version", AUDIT).status == 200
    data(site, "PUT", "/access/users/audit@pve", enable=0)
    assert ask(site, "GET", "/version", AUDIT).status == 401


def test_a_ticket_reads_and_needs_the_csrf_token_to_write(site: Site) -> None:
    login = answer(site, Request("POST", "/access/ticket", {"username": "root@pam", "password": "root-password"}))
    assert login.body
    proof = login.body["data"]
    assert answer(site, Request("GET", "/version", ticket=proof["ticket"])).status == 200
    write = Request("POST", "/pools", {"poolid": "a"}, ticket=proof["ticket"])
    got = answer(site, write)
    assert (got.status, got.reason) == (401, "Permission denied - invalid csrf token")
    write.csrf = proof["CSRFPreventionToken"]
    assert answer(site, write).status == 200
    renewed = answer(site, Request("POST", "/access/ticket", {"username": "root@pam", "password": proof["ticket"]}))
    assert renewed.status == 200


def test_a_ticket_is_good_for_two_hours(site: Site) -> None:
    ticket = site.access.ticket("root@pam")
    site.hypervisor.node.time += 7199  # type: ignore[attr-defined]
    assert site.access.ticket_user(ticket) == "root@pam"
    site.hypervisor.node.time += 2  # type: ignore[attr-defined]
    assert site.access.ticket_user(ticket) is None
    assert site.access.ticket_user(ticket[:-1] + "0") is None


@pytest.mark.parametrize("name", ["root@pam", "x@foo", "root"])
def test_a_wrong_login_says_so_with_a_body(site: Site, name: str) -> None:
    got = answer(site, Request("POST", "/access/ticket", {"username": name, "password": "wrong"}))
    assert (got.status, got.reason) == (401, "authentication failure")
    assert got.body == {"data": None, "message": "authentication failure\n"}


def test_a_token_is_made_once_and_forgotten_with_its_rights(site: Site) -> None:
    made = data(site, "POST", "/access/users/audit@pve/token/tt", privsep="1")
    assert made["full-tokenid"] == "audit@pve!tt"
    assert made["info"] == {"privsep": "1"}
    again = ask(site, "POST", "/access/users/audit@pve/token/tt")
    assert again.body
    assert again.body["errors"] == {"tokenid": "Token already exists."}
    data(site, "PUT", "/access/acl", path="/", roles="PVEAuditor", tokens="audit@pve!tt")
    data(site, "DELETE", "/access/users/audit@pve/token/tt")
    assert not site.access.acl
    gone = ask(site, "DELETE", "/access/users/audit@pve/token/tt")
    assert (gone.status, gone.reason) == (500, "no such token 'tt' for user 'audit@pve'")


def test_foreign_tokens_are_hidden_without_naming_a_path(site: Site) -> None:
    got = ask(site, "GET", "/access/users/root@pam/token", AUDIT)
    assert (got.status, got.reason) == (403, "Permission check failed")


def test_lists_shrink_to_what_the_caller_may_see(site: Site) -> None:
    assert data(site, "GET", "/access/users", AUDIT) == []
    assert data(site, "GET", "/access/acl", AUDIT) == []
    assert data(site, "GET", "/access/permissions", AUDIT) == {}
    for who in ("audit@pve", "audit@pve!suite"):
        site.access.grant("/", who, "BackupAudit")
    assert len(data(site, "GET", "/access/users", AUDIT)) == 2
    assert len(data(site, "GET", "/access/acl", AUDIT)) == 2
    assert data(site, "GET", "/access/permissions", AUDIT)["/vms"] == dict.fromkeys(
        ("Sys.Audit", "VM.Audit", "Datastore.Audit", "Pool.Audit"),
        1,
    )


def test_permissions_of_one_path_are_told_even_when_empty(site: Site) -> None:
    got = data(site, "GET", "/access/permissions", path="/vms/200", userid="audit@pve!suite")
    assert got == {"/vms/200": {}}
    refused = ask(site, "GET", "/access/permissions", AUDIT, userid="root@pam")
    assert (refused.status, refused.reason) == (403, "Permission check failed (/access, Sys.Audit)")


def test_permissions_come_before_parameters_and_before_other_nodes(site: Site) -> None:
    refused = ask(site, "GET", "/nodes/pve9/status", AUDIT)
    assert (refused.status, refused.reason) == (403, "Permission check failed (/nodes/pve9, Sys.Audit)")
    lost = ask(site, "GET", "/nodes/pve9/version", AUDIT)
    assert lost.status == 500
    assert lost.reason == (
        "hostname lookup 'pve9' failed - failed to get address info for: pve9: Temporary failure in name resolution"
    )
    bad = ask(site, "POST", "/pools", AUDIT, nonsense="1", poolid="x")
    assert bad.status == 403
    assert ask(site, "POST", "/pools", ROOT, nonsense="1", poolid="x").status == 400
