"""Errors in the journal and notification settings."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backup_standard.collect.vzdump_tasks import read_changes
from backup_standard.collect.watching import ask_journal, read_journal, read_notifications
from backup_standard.errors import ApiError, MissingPrivilege
from backup_standard.hosts.backend import RunningBackend, host_on
from backup_standard.hosts.ssh import Output
from backup_standard.model import Gap, JournalLine, Node, NotificationMatcher, NotificationTarget
from tests.unit.collect.stubsite import reader

FAILED = "ERROR: Backup of VM 210 failed - VM is locked (backup)"


class Journal(RunningBackend):
    """A host that answers journalctl."""

    NAME = "journal"

    def __init__(self, rc: int = 0, out: str = "", err: str = "") -> None:
        super().__init__("pve1", None)
        self.output = Output(rc, out.encode(), err.encode())

    def execute(self, line: Any) -> Output:
        assert line.startswith("journalctl --no-pager -o json ")
        assert "--since @1000 -p err" in line
        return self.output


def entry(message: Any, when: int = 1_795_468_085) -> str:
    return json.dumps(
        {"__REALTIME_TIMESTAMP": f"{when}920404", "SYSLOG_IDENTIFIER": "pvescheduler", "MESSAGE": message}
    )


def test_errors_over_ssh() -> None:
    raw = list(b"ERROR: odd \xff byte")
    host = host_on(Journal(out=f"{entry(FAILED)}\n{entry(raw)}\n-- No entries --\n"))
    lines = read_journal(host, "pve1", 1000)
    assert lines == (
        JournalLine(1_795_468_085, "pvescheduler", FAILED),
        JournalLine(1_795_468_085, "pvescheduler", "ERROR: odd \ufffd byte"),
    )


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (Journal(1, "", "No journal files were found.\n"), "journalctl ended with 1: No journal files were found."),
        (
            Journal(0, "", "Hint: You are currently not seeing messages from other users and the system.\n"),
            "the account may read only its own lines of it",
        ),
    ],
)
def test_a_journal_that_may_not_be_read_is_a_gap(host: Journal, reason: str) -> None:
    gap = read_journal(host_on(host), "pve1", 1000)
    assert isinstance(gap, Gap)
    assert gap.reason == reason
    assert "systemd-journal" in gap.need


def test_errors_by_the_api_have_no_year() -> None:
    """The line of New Year's Eve was written last year."""
    zone = ZoneInfo("Europe/Berlin")
    now = dt.datetime(2027, 1, 2, 9, 0, tzinfo=zone)
    lines = {
        "pvescheduler": [
            f"Dec 31 02:00:03 pve1 pvescheduler[12]: {FAILED}",
            "Jan  1 02:00:03 pve1 pvescheduler[12]: INFO: x",
        ],
        "pvedaemon": [f"Jan  2 08:00:00 pve1 pvedaemon[9]: {FAILED}", "no line"],
        "cron": [f"Jan  2 02:00:00 pve1 vzdump[7]: {FAILED}", "Jan  2 02:00:00 pve1 CRON[6]: (root) CMD (vzdump 210)"],
    }
    answers = {"/nodes/pve1/syslog": lambda asked: [{"n": 1, "t": text} for text in lines[asked["service"]]]}
    node = Node("pve1", online=True, timezone="Europe/Berlin", now=int(now.timestamp()))
    assert ask_journal(reader(answers), node, int(now.timestamp()) - 9 * 86400) == (
        JournalLine(int(dt.datetime(2026, 12, 31, 2, 0, 3, tzinfo=zone).timestamp()), "pvescheduler", FAILED),
        JournalLine(int(dt.datetime(2027, 1, 2, 8, 0, 0, tzinfo=zone).timestamp()), "pvedaemon", FAILED),
        JournalLine(int(dt.datetime(2027, 1, 2, 2, 0, 0, tzinfo=zone).timestamp()), "vzdump", FAILED),
    )


def test_a_long_journal_is_read_page_by_page() -> None:
    text = f"Jan  2 08:00:00 pve1 pvedaemon[9]: {FAILED}"
    answers = {"/nodes/pve1/syslog": lambda asked: [{"t": text}] * (5000 if not asked["start"] else 1)}
    found = ask_journal(reader(answers), Node("pve1", online=True, now=1_800_000_000), 1_799_000_000)
    assert not isinstance(found, Gap)
    assert len(found) == 3 * 5001


def test_notification_settings() -> None:
    base = "/cluster/notifications"
    found = read_notifications(
        reader(
            {
                f"{base}/targets": [{"name": "mail-to-root", "type": "sendmail"}, {"name": "x", "disable": 1}],
                f"{base}/matchers": [
                    {"name": "default-matcher", "target": ["mail-to-root"], "mode": "all"},
                    {
                        "name": "n",
                        "match-severity": ["error,warning"],
                        "match-field": ["exact:type=vzdump"],
                        "disable": 1,
                    },
                ],
            }
        )
    )
    assert not isinstance(found, Gap)
    assert found.targets == (NotificationTarget("mail-to-root", "sendmail"), NotificationTarget("x", disabled=True))
    assert found.matchers == (
        NotificationMatcher("default-matcher", ("mail-to-root",)),
        NotificationMatcher("n", (), ("error", "warning"), is_narrow=True, disabled=True),
    )


def test_notification_settings_that_may_not_be_read_name_the_privilege_the_api_does_not() -> None:
    refused = MissingPrivilege("Permission check failed", next_step="pveum acl modify …")
    gap = read_notifications(reader({"/cluster/notifications/targets": refused}))
    assert isinstance(gap, Gap)
    assert gap.need.startswith("Mapping.Audit on /mapping/notifications: pveum acl modify")


def test_a_release_without_notification_settings_lacks_no_privilege() -> None:
    gap = read_notifications(reader({"/cluster/notifications/targets": ApiError("not implemented", status=501)}))
    assert gap == Gap("who gets notifications", "not implemented")


def test_only_tasks_that_change_a_guest_are_its_changes() -> None:
    def task(kind: str, **more: Any) -> dict[str, Any]:
        return {
            "upid": f"UPID:{kind}",
            "node": "pve1",
            "type": kind,
            "id": "100",
            "user": "root@pam",
            "starttime": 5,
            "endtime": 6,
            "status": "OK",
            **more,
        }

    tasks = [task("vzdump"), task("qmtemplate"), task("qmconfig", endtime=None), task("qmstart")]
    found = read_changes(reader({"/nodes/pve1/tasks": tasks}), {100: "pve1"})[100]
    assert not isinstance(found, Gap)
    assert [one.type for one in found] == ["qmtemplate"]
