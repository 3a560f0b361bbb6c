"""Task logs, worded as Proxmox VE 9.2 words them."""

from __future__ import annotations

from backup_standard.audit.vzdump_log import Outcome, parse

TWO_GUESTS = """\
INFO: trying to get global lock - waiting...
INFO: got global lock
INFO: starting new backup job: vzdump 210 999 220 --compress zstd --notes-template '{{guestname}} on {{node}}' --quiet 1
INFO: skip external VMs: 300, 301
INFO: Starting Backup of VM 210 (qemu)
INFO: Backup started at 2026-11-23 21:00:44
INFO: status = stopped
INFO: backup mode: stop
INFO: creating vzdump archive '/mnt/backup/dump/vzdump-qemu-210-2026_11_23-21_00_43.vma.zst'
INFO: Finished Backup of VM 210 (00:00:04)
INFO: Backup finished at 2026-11-23 21:00:47
ERROR: Backup of VM 999 failed - unable to find VM '999'
INFO: Failed at 2026-11-23 21:00:47
INFO: Starting Backup of VM 220 (lxc)
WARN: unable to add notes - no space
zstd: error 70 : Write error : cannot write block : No space left on device
ERROR: vma_queue_write: write error - Broken pipe
ERROR: Backup of VM 220 failed - vma_queue_write: write error - Broken pipe
INFO: Backup job finished with errors
TASK ERROR: job errors
"""


def test_each_guest_of_a_run_has_its_own_outcome() -> None:
    log = parse(TWO_GUESTS.splitlines())
    assert log.vmids == (210, 999, 220)
    assert log.quiet
    assert log.option("notes-template") == "{{guestname}} on {{node}}"
    assert log.option("mode") is None
    assert log.external == (300, 301)
    assert log.status == "job errors"
    assert {vmid: run.outcome for vmid, run in log.guests.items()} == {
        210: Outcome.FINISHED, 999: Outcome.FAILED, 220: Outcome.FAILED,
    }  # fmt: skip
    assert log.guests[999].reason == "unable to find VM '999'"
    assert log.guests[220].errors == ["vma_queue_write: write error - Broken pipe"]
    assert log.guests[220].warnings == ["unable to add notes - no space"]
    assert log.guests[210].archive.endswith("210-2026_11_23-21_00_43.vma.zst")
    assert log.guests[210].duration == "00:00:04"
    assert not log.guests[210].errors


def test_a_run_that_never_reached_a_guest() -> None:
    log = parse(["ERROR: could not get storage information for 'x'", "TASK ERROR: could not activate storage 'x'"])
    assert log.guests == {}
    assert log.vmids == ()
    assert not log.quiet
    assert log.errors == ["could not get storage information for 'x'"]
    assert log.status == "could not activate storage 'x'"


def test_an_interrupted_run() -> None:
    log = parse(["INFO: starting new backup job: vzdump 200", "INFO: Starting Backup of VM 200 (qemu)"])
    assert log.guests[200].outcome is Outcome.UNFINISHED
    assert log.status == ""


def test_lines_after_a_finished_guest_belong_to_the_run() -> None:
    log = parse(
        ["INFO: Starting Backup of VM 1 (qemu)", "INFO: Finished Backup of VM 1 (00:00:01)", "WARN: odd", "ERROR: late"]
    )
    assert log.guests[1].warnings == ["odd"]


def test_an_unbalanced_quote_does_not_stop_reading() -> None:
    assert parse(["INFO: starting new backup job: vzdump 100 --notes-template 'oops --quiet 1"]).quiet
