"""Clients that know nothing of the lab work against it unmodified: proxmoxer, curl, the Prometheus exporter."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.backends.https import AuthenticationError
from proxmoxer.tools import Tasks
from pve_exporter.collector import CollectorsOptions, collect_pve

from tests import labsite


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("state")) as running:
        yield running


def proxmox(lab: labsite.LabSite, who: str) -> ProxmoxAPI:
    tokenid, secret = lab.tokens[who]
    user, name = tokenid.split("!")
    return ProxmoxAPI(
        "127.0.0.1", port=lab.server.port, user=user, token_name=name, token_value=secret, verify_ssl=str(lab.ca)
    )


def test_proxmoxer_reads_writes_and_waits(lab: labsite.LabSite) -> None:
    api = proxmox(lab, "drill")
    archives = api.nodes("pve1").storage("backup-hdd").content.get(content="backup", vmid=220)
    newest = max(archives, key=lambda archive: archive["ctime"])
    upid = api.nodes("pve1").qemu.post(
        vmid=221,
        archive=newest["volid"],
        storage="vmdata",
        pool="drill",
        unique=1,
        net0="virtio,bridge=vmbr9",
        onboot=0,
    )
    lab.site.tasks.wait(upid)
    assert Tasks.blocking_status(api, upid, timeout=5, polling_interval=0.05)["exitstatus"] == "OK"
    assert "bridge=vmbr9" in api.nodes("pve1").qemu(221).config.get()["net0"]
    gone = api.nodes("pve1").qemu(221).delete(purge=1)
    assert lab.site.tasks.wait(gone).status == "OK"
    with pytest.raises(ResourceException) as missing:
        proxmox(lab, "root").nodes("pve1").qemu(221).config.get()
    assert missing.value.content == "Configuration file 'nodes/pve1/qemu-server/221.conf' does not exist"


def test_proxmoxer_logs_in_with_a_password_and_writes_with_its_ticket(lab: labsite.LabSite) -> None:
    api = ProxmoxAPI(
        "127.0.0.1", port=lab.server.port, user="root@pam", password=lab.secrets.root_password, verify_ssl=str(lab.ca)
    )
    api.pools.post(poolid="client", comment="made with a ticket")
    assert api.pools("client").get()["comment"] == "made with a ticket"
    api.pools("client").delete()


RECORDED_REFUSALS = [
    (("nodes", "pve1", "qemu", 999, "config"), {},
     "500 Internal Server Error: Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"),
    (("cluster", "nextid"), {"vmid": 100},
     "400 Bad Request: Parameter verification failed. - {'vmid': 'VM 100 already exists'}"),
    (("nodes", "pve1", "storage", "nope", "content"), {}, "500 Internal Server Error: storage 'nope' does not exist"),
    (("nodes", "pve1", "foo"), {}, "501 Not Implemented: Method 'GET /nodes/pve1/foo' not implemented"),
]  # fmt: skip
"""What proxmoxer said of the recorded node's refusals."""


@pytest.mark.parametrize(("path", "params", "text"), RECORDED_REFUSALS)
def test_proxmoxer_tells_refusals_as_recorded(
    lab: labsite.LabSite, path: tuple[object, ...], params: dict[str, object], text: str
) -> None:
    with pytest.raises(ResourceException) as refused:
        proxmox(lab, "root")("/".join(map(str, path))).get(**params)
    assert str(refused.value) == text


def test_proxmoxer_is_refused_with_a_wrong_token_or_password(lab: labsite.LabSite) -> None:
    where = {"port": lab.server.port, "user": "root@pam", "verify_ssl": str(lab.ca)}
    with pytest.raises(ResourceException, match=r"^401 Unauthorized: Authentication failed!") as refused:
        ProxmoxAPI("127.0.0.1", token_name="suite", token_value="wrong", **where).version.get()
    assert refused.value.errors == {"errors": b""}
    with pytest.raises(AuthenticationError, match=r"Couldn't authenticate user: root@pam to .* code: 401$"):
        ProxmoxAPI("127.0.0.1", password="wrong", **where)


def curl(lab: labsite.LabSite, who: str, path: str, *more: str) -> str:
    """What curl prints of a request with a token."""
    tokenid, secret = lab.tokens[who]
    header = f"Authorization: PVEAPIToken={tokenid}={secret}"
    command = ["curl", "-q", "-sS", "--noproxy", "*", "--cacert", str(lab.ca), "-H", header, *more]
    return subprocess.run([*command, lab.server.url + path], capture_output=True, text=True, check=True).stdout


with_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


@with_curl
def test_curl_reads_and_sees_the_reason(lab: labsite.LabSite) -> None:
    assert json.loads(curl(lab, "audit", "/version"))["data"]["release"] == "9.2"
    assert curl(lab, "root", "/pools/nope", "-D", "-").startswith("HTTP/1.1 500 pool 'nope' does not exist\n")
    refused = curl(lab, "audit", "/pools", "-D", "-", "-d", "poolid=x")
    assert refused.startswith("HTTP/1.1 403 Permission check failed (/pool/x, Pool.Allocate)\n")


@with_curl
def test_curl_starts_a_backup_and_follows_its_task(lab: labsite.LabSite) -> None:
    form = ["-d", "vmid=210", "-d", "storage=backup-hdd", "-d", "compress=zstd", "-d", "remove=0"]
    upid = json.loads(curl(lab, "root", "/nodes/pve1/vzdump", *form))["data"]
    assert re.fullmatch(r"UPID:pve1:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:vzdump:210:root@pam!suite:", upid)
    lab.site.tasks.wait(upid)
    status = json.loads(curl(lab, "root", f"/nodes/pve1/tasks/{upid}/status"))["data"]
    assert (status["status"], status["exitstatus"]) == ("stopped", "OK")


@with_curl
def test_curl_trusts_the_labs_certificate_and_no_other_name(lab: labsite.LabSite) -> None:
    url = lab.server.url.replace("127.0.0.1", "pve9")
    command = [
        "curl",
        "-q",
        "-sS",
        "--noproxy",
        "*",
        "--cacert",
        str(lab.ca),
        "--connect-to",
        f"::127.0.0.1:{lab.server.port}",
    ]
    refused = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    assert refused.returncode == 60, refused.stderr


def test_the_prometheus_exporter_scrapes_the_site(lab: labsite.LabSite) -> None:
    tokenid, secret = lab.tokens["audit"]
    user, name = tokenid.split("!")
    login = {
        "user": user,
        "token_name": name,
        "token_value": secret,
        "verify_ssl": str(lab.ca),
        "port": lab.server.port,
    }
    wanted = CollectorsOptions(
        status=True,
        version=True,
        subscription=True,
        node=True,
        cluster=True,
        resources=True,
        backup_info=True,
        config=True,
        replication=True,
        qdevice=False,
    )
    text = collect_pve(login, "127.0.0.1", cluster=True, node=True, options=wanted).decode()
    assert 'pve_up{id="qemu/210"} 1.0' in text
    assert 'pve_up{id="storage/pve1/backup-hdd"} 1.0' in text
    assert 'pve_version_info{release="9.2"' in text
    assert 'pve_onboot_status{id="qemu/200",node="pve1",type="qemu"} 1.0' in text
