"""Containers; derived from upstream's source, nothing of it was recorded."""

from __future__ import annotations

import json

import pytest

from lab.hypervisor import CommandResult, HypervisorError
from lab.pve.guestconfig import split_properties
from tests.lab_unit.pve.guestlab import CT, DRILLER, NOBODY, Lab

NET = "name=eth0,bridge=vmbr9,link_down=1"


def restored(lab: Lab, **params: object) -> dict[str, object]:
    task = lab.run("POST", "~/lxc", vmid=231, ostemplate=CT, restore=1, storage="vmdata", **params)
    assert (task.type, task.status) == ("vzrestore", "OK"), task.log
    found: dict[str, object] = lab.data("GET", "~/lxc/231/config")
    return found


def test_a_container_comes_back_with_its_data(lab: Lab) -> None:
    config = restored(lab, net0=NET, onboot=0)

    assert config["rootfs"] == "vmdata:vm-231-disk-0,size=4M"
    assert (config["hostname"], config["onboot"], config["memory"]) == ("files", 0, 64)
    assert str(config["net0"]).startswith(NET)
    assert lab.run("POST", "~/lxc/231/status/start").status == "OK"
    assert lab.hypervisor.container_exec(231, ["cat", "/srv/data/client.txt"]).stdout == "data of a client\n"


def test_unique_puts_the_archived_card_over_the_given_one(lab: Lab) -> None:
    card = split_properties(str(restored(lab, net0=NET, unique=1)["net0"]), "name")

    assert (card["bridge"], card["ip"]) == ("vmbr0", "10.0.0.230/24")
    assert card["hwaddr"] != "BC:24:11:00:02:30"


def test_a_failed_restore_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise HypervisorError("tar: Unexpected EOF in archive")

    monkeypatch.setattr(lab.hypervisor, "extract_container_archive", broken)
    task = lab.run("POST", "~/lxc", vmid=231, ostemplate=CT, restore=1, storage="vmdata")

    assert task.status == "unable to restore CT 231 - tar: Unexpected EOF in archive"
    assert 231 not in lab.site.guests
    assert "vmdata:vm-231-disk-0" not in lab.hypervisor.volumes()


def test_refusals(lab: Lab) -> None:
    answer = lab.ask("POST", "~/lxc", vmid=231, ostemplate=CT, restore=1, storage="backup-hdd")
    assert answer.body is not None
    assert answer.body["errors"] == {"storage": "storage 'backup-hdd' does not support container directories"}
    taken = lab.refused("POST", "~/lxc", vmid=230, ostemplate=CT, restore=1, storage="vmdata")
    assert taken[1] == "unable to restore CT 230 - CT 230 already exists on node 'pve1'"
    assert lab.refused("POST", "~/lxc", NOBODY, vmid=231, ostemplate=CT, restore=1, storage="vmdata")[0] == 403
    assert lab.refused("POST", "~/lxc/230/status/stop") == (500, "CT 230 not running")
    assert lab.refused("GET", "~/lxc/200/config") == (
        500,
        "Configuration file 'nodes/pve1/lxc/200.conf' does not exist",
    )


def test_a_container_runs_stops_and_goes(lab: Lab) -> None:
    assert lab.data("GET", "~/lxc/230/interfaces") is None
    assert lab.run("POST", "~/lxc/230/status/start").status == "OK"
    state = lab.data("GET", "~/lxc/230/status/current")
    cards = {card["name"]: card for card in lab.data("GET", "~/lxc/230/interfaces")}

    assert (state["status"], state["name"], state["type"]) == ("running", "files", "lxc")
    assert cards["eth0"]["inet"] == "10.0.0.230/24"
    assert lab.refused("DELETE", "~/lxc/230") == (500, "CT 230 is running")
    assert lab.run("POST", "~/lxc/230/status/shutdown").status == "OK"
    assert lab.run("DELETE", "~/lxc/230", DRILLER, purge=1).type == "vzdestroy"
    assert lab.data("GET", "~/lxc") == []


def test_every_address_of_a_card_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        {"ifname": "lo", "address": "00:00:00:00:00:00", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]},
        {"ifname": "eth0", "address": "bc:24:11:00:02:30", "addr_info": [
            {"local": "10.0.0.230", "prefixlen": 24}, {"local": "fe80::1", "prefixlen": 64}]},
    ]  # fmt: skip
    monkeypatch.setattr(lab.hypervisor, "container_interfaces", lambda _vmid: CommandResult(0, json.dumps(said), ""))
    lab.run("POST", "~/lxc/230/status/start")
    lo, eth0 = lab.data("GET", "~/lxc/230/interfaces")

    assert (lo["name"], lo["inet"]) == ("lo", "127.0.0.1/8")
    assert (eth0["hwaddr"], eth0["inet"], eth0["inet6"]) == ("bc:24:11:00:02:30", "10.0.0.230/24", "fe80::1/64")
    assert eth0["ip-addresses"] == [
        {"ip-address": "10.0.0.230", "ip-address-type": "inet", "prefix": 24},
        {"ip-address": "fe80::1", "ip-address-type": "inet6", "prefix": 64},
    ]
