"""Power, state and destruction of guests against what Proxmox VE was seen to do."""

from __future__ import annotations

import pytest

from tests.lab_unit.pve.guestlab import DRILLER, NOBODY, ROOT_TOKEN, Lab, drill_role

MISSING = (500, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist")


def started(lab: Lab, vmid: int = 200) -> None:
    assert lab.run("POST", f"~/qemu/{vmid}/status/start").status == "OK"


def test_a_start_task_says_nothing_but_ok(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu/200/status/start")

    assert (task.type, task.id, task.log) == ("qmstart", "200", ["TASK OK"])


def test_starting_twice_is_accepted_and_fails_in_the_task(lab: Lab) -> None:
    started(lab)

    assert lab.run("POST", "~/qemu/200/status/start").log == ["TASK ERROR: VM 200 already running"]


def test_starting_what_does_not_exist_is_accepted_and_fails_in_the_task(lab: Lab) -> None:
    task = lab.run("POST", "~/qemu/999/status/start")

    assert task.status == MISSING[1]


def test_a_missing_bridge_fails_the_start(lab: Lab) -> None:
    lab.data("PUT", "~/qemu/200/config", net0="virtio,bridge=vmbr77")

    assert lab.run("POST", "~/qemu/200/status/start").log == ["TASK ERROR: bridge 'vmbr77' does not exist"]


def test_a_missing_image_fails_the_start(lab: Lab) -> None:
    lab.site.guests[200].config["ide2"] = "local:iso/gone.iso,media=cdrom"

    assert lab.run("POST", "~/qemu/200/status/start").status == "volume 'local:iso/gone.iso' does not exist"


def test_stopping_a_stopped_guest_is_fine(lab: Lab) -> None:
    assert lab.run("POST", "~/qemu/200/status/stop").log == ["TASK OK"]


def test_a_lock_is_met_in_the_task(lab: Lab) -> None:
    started(lab)
    lab.site.guests[200].config["lock"] = "backup"

    assert lab.run("POST", "~/qemu/200/status/stop").log == ["TASK ERROR: VM is locked (backup)"]
    assert lab.run("POST", "~/qemu/200/status/shutdown", timeout=1).status == "VM is locked (backup)"
    assert lab.run("POST", "~/qemu/200/status/start").status == "OK"
    assert lab.data("GET", "~/qemu/200/status/current")["lock"] == "backup"


def test_a_shutdown_through_the_agent_stops_the_guest(lab: Lab) -> None:
    started(lab)
    task = lab.run("POST", "~/qemu/200/status/shutdown", timeout=10)

    assert (task.type, task.log) == ("qmshutdown", ["TASK OK"])
    assert lab.data("GET", "~/qemu/200/status/current")["status"] == "stopped"


def test_a_silent_agent_is_told_and_the_power_button_pressed(lab: Lab) -> None:
    started(lab)
    lab.hypervisor.guest(200).agent_dead = True
    task = lab.run("POST", "~/qemu/200/status/shutdown", timeout=10)

    assert task.log == [
        "QEMU Guest Agent is not running - VM 200 qga command 'guest-ping' failed - got timeout",
        "TASK OK",
    ]


def test_a_guest_that_does_not_go_down_in_time_fails_the_task(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    started(lab)
    monkeypatch.setattr(lab.hypervisor, "agent", lambda *_: {})

    assert lab.run("POST", "~/qemu/200/status/shutdown", timeout=0).status == "VM quit/powerdown failed - got timeout"
    assert lab.run("POST", "~/qemu/200/status/shutdown", timeout=0, forceStop=1).status == "OK"
    assert not lab.hypervisor.is_running(200)


def test_skiplock_is_for_root_alone(lab: Lab) -> None:
    answer = lab.ask("POST", "~/qemu/200/status/stop", skiplock=1)

    assert answer.status == 400
    assert answer.body is not None
    assert answer.body["errors"] == {"skiplock": "Only root may use this option."}
    assert lab.run("POST", "~/qemu/200/status/stop", "root@pam", skiplock=1).status == "OK"


def test_the_state_of_a_stopped_guest_has_the_recorded_keys(lab: Lab) -> None:
    state = lab.data("GET", "~/qemu/200/status/current")

    assert state == {
        "agent": 1, "cpu": 0, "cpus": 1, "disk": 0, "ha": {"managed": 0}, "maxdisk": 4 << 20, "maxmem": 256 << 20,
        "mem": 0, "memhost": 0, "name": "db-prod", "netin": 0, "netout": 0, "qmpstatus": "stopped", "serial": 1,
        "status": "stopped", "uptime": 0, "vmid": 200,
    }  # fmt: skip


def test_the_state_of_a_running_guest_tells_process_and_machine(lab: Lab) -> None:
    started(lab)
    state = lab.data("GET", "~/qemu/200/status/current")

    assert (state["status"], state["qmpstatus"]) == ("running", "running")
    assert isinstance(state["pid"], int)
    assert state["running-machine"].startswith("pc-i440fx-")
    assert state["nics"] == {"tap200i0": {"netin": 0, "netout": 0}}
    assert state["ballooninfo"] == {"actual": 256 << 20, "max_mem": 256 << 20}
    assert "pressurecpusome" in state


def test_release_8_knows_no_pressure(lab8: Lab) -> None:
    started(lab8)

    assert not [
        key for key in lab8.data("GET", "~/qemu/200/status/current") if key.startswith("pressure") or key == "memhost"
    ]


def test_lists_hold_what_the_caller_may_audit(lab: Lab) -> None:
    listed = lab.data("GET", "~/qemu")

    assert [guest["vmid"] for guest in listed] == [100, 200, 220]
    assert listed[0]["template"] == 1
    assert "template" not in listed[1]
    assert "qmpstatus" not in listed[1]
    assert lab.data("GET", "~/qemu", full=1)[1]["qmpstatus"] == "stopped"
    assert lab.data("GET", "~/qemu", NOBODY) == []


def test_the_state_of_ha_is_part_of_it(lab: Lab) -> None:
    lab.site.ha_resources["vm:200"] = {"state": "started"}

    assert lab.data("GET", "~/qemu/200/status/current")["ha"] == {"managed": 1, "state": "started"}
    assert lab.run("POST", "~/qemu/200/status/start").type == "hastart"


def test_missing_guests_are_500(lab: Lab) -> None:
    for method, path in (("GET", "status/current"), ("GET", "config"), ("GET", "snapshot"), ("POST", "template")):
        assert lab.refused(method, f"~/qemu/999/{path}") == MISSING
    assert lab.refused("DELETE", "~/qemu/999") == MISSING


def test_suspend_and_resume(lab: Lab) -> None:
    started(lab)

    assert lab.run("POST", "~/qemu/200/status/suspend").status == "OK"
    assert lab.data("GET", "~/qemu/200/status/current")["qmpstatus"] == "paused"
    assert lab.run("POST", "~/qemu/200/status/resume").status == "OK"
    assert lab.data("GET", "~/qemu/200/status/current")["qmpstatus"] == "running"
    assert lab.run("POST", "~/qemu/200/status/reset").status == "OK"
    assert lab.run("POST", "~/qemu/200/status/reboot", timeout=10).status == "OK"


@pytest.mark.parametrize("path", ["start", "stop", "shutdown", "reset"])
def test_power_needs_its_privilege(lab: Lab, path: str) -> None:
    drill_role(lab.site, without="VM.PowerMgmt")

    assert lab.refused("POST", f"~/qemu/200/status/{path}", DRILLER) == (
        403, "Permission check failed (/vms/200, VM.PowerMgmt)",
    )  # fmt: skip


def test_destroying_a_running_guest_is_refused_at_once(lab: Lab) -> None:
    started(lab)

    assert lab.refused("DELETE", "~/qemu/200", purge=1) == (500, "VM 200 is running - destroy failed")


def test_destroying_a_protected_guest_is_refused_at_once(lab: Lab) -> None:
    lab.data("PUT", "~/qemu/200/config", protection=1)

    assert lab.refused("DELETE", "~/qemu/200") == (500, "can't remove VM 200 - protection mode enabled")


def test_destroying_a_locked_guest_fails_in_the_task(lab: Lab) -> None:
    lab.site.guests[200].config["lock"] = "create"

    assert lab.run("DELETE", "~/qemu/200").status == "VM is locked (create)"


def test_destruction_takes_disks_firewall_and_rights_along(lab: Lab) -> None:
    lab.restore(pool="drill")
    lab.site.firewall[201] = "[OPTIONS]\n"
    lab.site.access.grant("/vms/201", DRILLER, "Drill")
    lab.hypervisor.allocate("vmdata:vm-201-disk-7", 1 << 20)
    task = lab.run("DELETE", "~/qemu/201", purge=1, destroy_unreferenced_disks=1)

    assert task.type == "qmdestroy"
    assert task.log[-2:] == ["purging VM 201 from related configurations..", "TASK OK"]
    assert not [volid for volid in lab.hypervisor.volumes() if "-201-" in volid]
    assert 201 not in lab.site.firewall
    assert not [entry for entry in lab.site.access.acl if entry.path == "/vms/201"]
    assert lab.data("GET", "/cluster/nextid", vmid=201) == "201"
    assert lab.refused("GET", "~/qemu/201/status/current")[0] == 500


def test_unreferenced_disks_stay_unless_asked_for(lab: Lab) -> None:
    lab.restore()
    lab.hypervisor.allocate("vmdata:vm-201-disk-7", 1 << 20)
    lab.run("DELETE", "~/qemu/201")

    assert [volid for volid in lab.hypervisor.volumes() if "-201-" in volid] == ["vmdata:vm-201-disk-7"]


def test_purging_takes_the_guest_out_of_jobs_ha_and_replication(lab: Lab) -> None:
    lab.site.jobs["one"] = {"type": "vzdump", "vmid": "200", "schedule": "02:00"}
    lab.site.jobs["two"] = {"type": "vzdump", "vmid": "200,220", "schedule": "02:00"}
    lab.site.jobs["all"] = {"type": "vzdump", "all": 1, "exclude": "200", "schedule": "02:00"}
    lab.site.ha_resources["vm:200"] = {}
    lab.site.replication["200-0"] = {}
    assert (
        lab.refused("DELETE", "~/qemu/200")[1]
        == "unable to remove VM 200 - used in HA resources and purge parameter not set."
    )
    task = lab.run("DELETE", "~/qemu/200", purge=1)
    assert task.log[-2:] == ["NOTE: removed VM 200 from HA resource configuration.", "TASK OK"]

    assert sorted(lab.site.jobs) == ["all", "two"]
    assert lab.site.jobs["two"]["vmid"] == "220"
    assert not lab.site.ha_resources
    assert not lab.site.replication


def test_a_replication_job_keeps_an_unpurged_guest(lab: Lab) -> None:
    lab.site.replication["200-0"] = {}

    assert lab.refused("DELETE", "~/qemu/200")[1].startswith("There is a replication job '200-0' for guest '200'")


def test_destruction_needs_vm_allocate(lab: Lab) -> None:
    drill_role(lab.site, without="VM.Allocate")

    assert lab.refused("DELETE", "~/qemu/200", DRILLER) == (403, "Permission check failed (/vms/200, VM.Allocate)")


def test_a_whole_drill_as_driller(lab: Lab) -> None:
    task = lab.restore(who=DRILLER, pool="drill", name="drill-200", onboot=0, net0="virtio,bridge=vmbr9")
    assert task.status == "OK"
    assert lab.run("POST", "~/qemu/201/status/start", DRILLER).status == "OK"
    assert lab.data("POST", "~/qemu/201/agent/ping", DRILLER) == {"result": {}}
    assert lab.run("POST", "~/qemu/201/status/stop", DRILLER).status == "OK"
    assert lab.run("DELETE", "~/qemu/201", DRILLER, purge=1, destroy_unreferenced_disks=1).status == "OK"
    assert lab.ask("GET", "~/qemu/201/config", ROOT_TOKEN).status == 500
