"""The client: reads are tried again when the connection drops, writes never; refusals say what is missing."""

from __future__ import annotations

import threading
from typing import Any, Never

import pytest

from backup_standard.errors import ApiError, ConnectionFailed, MissingPrivilege, OperatorError, Refused, SecretError
from backup_standard.pve import Pve, PveWriter
from backup_standard.pve.client import quoted
from tests.unit.fakepve import DROP, TOKEN, FakePve

OK = (200, "OK", {"data": {"release": "9.2"}})


@pytest.fixture
def pve(fake: FakePve) -> Any:
    with Pve(fake.api(), TOKEN) as client:
        yield client


@pytest.fixture
def permitted() -> Any:
    return []


@pytest.fixture
def writer(fake: FakePve, permitted: Any) -> Any:
    with PveWriter(fake.api(), TOKEN, lambda *call: permitted.append(call)) as client:
        yield client


def test_reads_carry_the_token_and_their_parameters(fake: FakePve, pve: Any) -> None:
    fake.says(OK)

    assert pve.get("/nodes/pve1/tasks", typefilter="vzdump", **{"prune-backups": "keep-all=1"}, vmid=None) == {
        "release": "9.2"
    }

    (asked,) = fake.asked
    assert (asked.method, asked.path) == ("GET", "/api2/json/nodes/pve1/tasks")
    assert asked.params == {"typefilter": ["vzdump"], "prune-backups": ["keep-all=1"]}
    assert asked.authorization == "PVEAPIToken=audit@pve!suite=s3cret-token"
    assert pve.authorization() == asked.authorization


def test_a_read_is_sent_again_when_the_connection_drops(fake: FakePve, pve: Any) -> None:
    fake.says(DROP, DROP, OK)
    assert pve.get("/version") == {"release": "9.2"}
    assert len(fake.asked) == 3


def test_a_read_that_always_drops_fails_in_the_end(fake: FakePve, pve: Any) -> None:
    fake.says(DROP)
    with pytest.raises(ConnectionFailed, match="the connection failed"):
        pve.get("/version")
    assert len(fake.asked) == 3


def test_a_write_is_asked_of_the_guard_first(fake: FakePve, writer: Any, permitted: Any) -> None:
    fake.says((200, "OK", {"data": "UPID:x"}))

    assert writer.write("POST", "/nodes/pve1/qemu", {"vmid": 201, "tags": "a;b"}) == "UPID:x"

    assert permitted == [("POST", "/nodes/pve1/qemu", {"vmid": 201, "tags": "a;b"})]
    assert fake.asked[0].params == {"vmid": ["201"], "tags": ["a;b"]}


def test_a_write_that_the_guard_refuses_is_not_sent(fake: FakePve) -> None:
    def never(method: Any, path: Any, _params: Any) -> Never:
        raise Refused(f"{method} {path} is not ours")

    with PveWriter(fake.api(), TOKEN, never) as writer, pytest.raises(Refused, match="not ours"):
        writer.write("DELETE", "/nodes/pve1/qemu/200")
    assert fake.asked == []


def test_a_write_is_never_sent_twice(fake: FakePve, writer: Any) -> None:
    fake.says(DROP, OK)
    with pytest.raises(ConnectionFailed, match="whether POST /nodes/pve1/qemu was carried out is not known"):
        writer.write("POST", "/nodes/pve1/qemu", {"vmid": 201})
    assert len(fake.asked) == 1


def test_only_writing_methods_write(writer: Any) -> None:
    with pytest.raises(OperatorError, match="GET is not a way to write"):
        writer.write("GET", "/version")


def test_a_reader_has_no_way_to_write(pve: Any) -> None:
    assert not hasattr(pve, "write")
    assert not hasattr(pve.again(), "write")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (
            "Permission check failed (/nodes/pve1, Sys.Audit)",
            (
                "GET /x: the token audit@pve!suite lacks Sys.Audit on /nodes/pve1\n"
                "  Next: pveum acl modify /nodes/pve1 --users audit@pve --tokens 'audit@pve!suite' --roles PVEAuditor"
            ),
        ),
        (
            "Permission check failed (/storage/backup-hdd, Datastore.Audit|Datastore.AllocateSpace)",
            (
                "GET /x: the token audit@pve!suite lacks Datastore.Audit or Datastore.AllocateSpace "
                "on /storage/backup-hdd\n"
                "  Next: pveum acl modify /storage/backup-hdd --users audit@pve --tokens 'audit@pve!suite' "
                "--roles PVEAuditor"
            ),
        ),
        (
            "Permission check failed (/vms/201, VM.Allocate)",
            (
                "GET /x: the token audit@pve!suite lacks VM.Allocate on /vms/201\n"
                "  Next: pveum role add Suite-VM.Allocate --privs VM.Allocate; pveum acl modify /vms/201 "
                "--users audit@pve --tokens 'audit@pve!suite' --roles Suite-VM.Allocate"
            ),
        ),
        (
            "Permission check failed (user != root@pam)",
            (
                "GET /x: the token audit@pve!suite may not do this: Permission check failed (user != root@pam)\n"
                "  Next: Proxmox VE reserves it for root@pam, or names no privilege; see pveum user permissions "
                "'audit@pve!suite'"
            ),
        ),
    ],
)
def test_a_missing_privilege_is_named_with_the_command_that_grants_it(
    fake: FakePve, pve: Any, reason: Any, text: Any
) -> None:
    fake.says((403, reason, {"data": None, "message": reason}))
    with pytest.raises(MissingPrivilege) as caught:
        pve.get("/x")
    assert str(caught.value) == text


def test_a_token_that_is_not_accepted_is_said_without_its_secret(fake: FakePve, pve: Any) -> None:
    fake.says((401, "Authentication failed!", b""))
    with pytest.raises(OperatorError) as caught:
        pve.get("/version")
    assert str(caught.value) == (
        "GET /version: the token audit@pve!suite is not accepted (Authentication failed!)\n"
        "  Next: check its id and secret in the inventory; on a node: pveum user token list audit@pve "
        "(a lost secret cannot be shown again: pveum user token remove audit@pve suite, then add it anew)"
    )


def test_a_missing_secret_is_said_with_its_place(fake: FakePve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAKE_PVE_TOKEN")
    with pytest.raises(SecretError, match=r"token audit@pve!suite: the environment variable FAKE_PVE_TOKEN is not set"):
        Pve.connect(fake.api(), TOKEN)


def test_other_refusals_keep_the_apis_own_words(fake: FakePve, pve: Any) -> None:
    fake.says((500, "storage 'nope' does not exist", {"data": None}))
    with pytest.raises(ApiError) as caught:
        pve.get("/storage/nope")
    assert (caught.value.status, caught.value.text) == (500, "storage 'nope' does not exist")
    assert str(caught.value) == "GET /storage/nope: storage 'nope' does not exist"


def test_complaints_about_parameters_are_told_by_name(fake: FakePve, pve: Any) -> None:
    fake.says((400, "Parameter verification failed.", {"data": None, "errors": {"vmid": "VM 100 already exists\n"}}))
    with pytest.raises(ApiError) as caught:
        pve.get("/cluster/nextid", vmid=100)
    assert caught.value.parameters == {"vmid": "VM 100 already exists"}
    assert str(caught.value).endswith("Parameter verification failed. (vmid: VM 100 already exists)")


def test_a_node_that_the_asked_one_cannot_reach_is_said(fake: FakePve, pve: Any) -> None:
    fake.says((595, "No route to host", b""))
    with pytest.raises(ApiError, match="the node that should answer cannot be reached") as caught:
        pve.get("/nodes/pve2/status")
    assert caught.value.status == 595


@pytest.mark.parametrize(
    "answer",
    [
        (200, "OK", b"<html>a router</html>"),
        (200, "OK", {"result": 1}),
        (200, "OK", [1, 2]),
        (500, "odd", [1, 2]),
    ],
)
def test_what_is_no_answer_of_the_api_is_said(fake: FakePve, pve: Any, answer: Any) -> None:
    fake.says(answer)
    with pytest.raises(ConnectionFailed, match=r"/version: the answer is not that of a Proxmox VE API"):
        pve.get("/version")


def test_a_redirect_is_not_followed(fake: FakePve, pve: Any) -> None:
    fake.says((302, "Found", b""))
    with pytest.raises(ConnectionFailed, match="the answer is a redirect, which the API never sends"):
        pve.get("/version")
    assert len(fake.asked) == 1


def test_a_request_that_takes_too_long_is_given_up(fake: FakePve) -> None:
    release = threading.Event()

    def wait(_asked: Any) -> Any:
        release.wait(5)
        return OK

    fake.answer = wait
    with (
        Pve(fake.api(timeout="1s"), TOKEN) as pve,
        pytest.raises(ConnectionFailed, match=r"no answer within 1 s\n  Next: .*raise api.timeout"),
    ):
        pve.get("/version")
    release.set()


def test_a_refusal_with_an_odd_body_is_still_a_refusal(fake: FakePve, pve: Any) -> None:
    fake.says((596, "Broken pipe", b""))
    with pytest.raises(ApiError, match="the API's back end broke off"):
        pve.get("/version")


def test_volume_ids_become_one_step_of_a_path() -> None:
    assert quoted("backup-hdd:backup/x.vma.zst") == "backup-hdd%3Abackup%2Fx.vma.zst"
