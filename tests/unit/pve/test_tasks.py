"""Tasks: waited for by UPID, judged by status, explained by their log."""

from __future__ import annotations

from typing import Any

import pytest

from backup_standard.errors import ApiError, ConnectionFailed, TaskFailed
from backup_standard.pve import PveWriter
from backup_standard.pve.tasks import TaskResult, node_of, read_log, wait_for
from tests.unit.fakepve import TOKEN, FakePve

UPID = "UPID:pve1:000013C3:00083657:6B04A96D:qmrestore:202:drill@pve!suite:"
STATUS = f"/nodes/pve1/tasks/{UPID}/status"


class Answers:
    """A reader that gives these statuses in turn, and pages of this log."""

    def __init__(self, *statuses: Any, log: Any = ("progress", "TASK OK"), old: Any = False) -> None:
        self.statuses, self.lines, self.old, self.asked = list(statuses), list(log), old, []

    def get(self, path: Any, /, **params: Any) -> Any:
        self.asked.append((path, params))
        if path == STATUS:
            answer = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        else:
            assert path == f"/nodes/pve1/tasks/{UPID}/log"
            start, limit = params.get("start", 0), params["limit"]
            count = 50 if limit == 0 and self.old else limit or len(self.lines)
            answer = [{"n": start + n + 1, "t": text} for n, text in enumerate(self.lines[start : start + count])]
        if isinstance(answer, Exception):
            raise answer
        return answer


RUNNING = {"status": "running"}
ENDED = {"status": "stopped", "exitstatus": "OK", "starttime": 100, "endtime": 107}


def test_a_task_that_ends_well_gives_its_log_and_time() -> None:
    ticks = []
    result = wait_for(
        Answers(RUNNING, ENDED), UPID, timeout=5, tick=lambda status, _seconds: ticks.append(status["status"])
    )

    assert result == TaskResult(UPID, "OK", 7.0, ("progress", "TASK OK"))
    assert not result.warned
    assert ticks == ["running"]


def test_warnings_are_no_failure_but_are_told() -> None:
    result = wait_for(Answers({"status": "stopped", "exitstatus": "WARNINGS: 2"}), UPID, timeout=5)
    assert result.warned
    assert result.seconds == 0


def test_a_failed_task_shows_the_tail_of_its_log() -> None:
    lines = [f"line {n}" for n in range(30)] + ["TASK ERROR: job errors"]
    with pytest.raises(TaskFailed) as caught:
        wait_for(Answers({"status": "stopped", "exitstatus": "job errors"}, log=lines), UPID, timeout=5)

    assert caught.value.upid == UPID
    assert caught.value.log_tail == tuple(lines[-15:])
    assert str(caught.value).startswith(f"task {UPID} ended with: job errors\n  | line 16\n")
    assert str(caught.value).endswith("\n  | TASK ERROR: job errors")


def test_a_task_without_a_status_at_its_end_failed() -> None:
    with pytest.raises(TaskFailed, match="ended with: unexpected status"):
        wait_for(Answers({"status": "stopped"}), UPID, timeout=5)


def test_a_task_that_does_not_end_in_time_failed() -> None:
    with pytest.raises(TaskFailed, match=f"end of task {UPID}: not within 0.1 s; last seen: .*running") as caught:
        wait_for(Answers(RUNNING), UPID, timeout=0.1)
    assert caught.value.log_tail == ("progress", "TASK OK")


@pytest.mark.parametrize("problem", [ConnectionFailed("lost"), ApiError("no node", status=595)])
def test_a_broken_connection_does_not_end_the_wait(problem: Any) -> None:
    assert wait_for(Answers(problem, ENDED), UPID, timeout=5).status == "OK"


def test_a_refusal_ends_the_wait() -> None:
    with pytest.raises(ApiError, match="no such task"):
        wait_for(Answers(ApiError("no such task", status=400)), UPID, timeout=5)


def test_a_log_that_cannot_be_read_does_not_hide_the_failure() -> None:
    answers = Answers({"status": "stopped", "exitstatus": "job errors"})
    answers.lines = None
    original = answers.get

    def get(path: Any, /, **params: Any) -> Any:
        if path.endswith("/log"):
            raise ApiError("gone", status=500)
        return original(path, **params)

    answers.get = get
    with pytest.raises(TaskFailed, match=r"job errors\n  \| \(its log could not be read: gone\)"):
        wait_for(answers, UPID, timeout=5)


@pytest.mark.parametrize(("count", "old"), [(3, False), (49, True), (50, True), (51, True), (130, True), (7000, True)])
def test_a_log_is_read_to_its_end_on_old_releases_too(count: Any, old: Any) -> None:
    lines = [f"line {n}" for n in range(count)] + ["TASK OK"]
    assert read_log(Answers(log=lines, old=old), UPID) == tuple(lines)


def test_a_running_tasks_log_of_fifty_lines_is_no_endless_loop() -> None:
    assert len(read_log(Answers(log=[f"line {n}" for n in range(50)]), UPID)) == 50


def test_the_node_is_in_the_upid() -> None:
    assert node_of(UPID) == "pve1"
    assert node_of("UPID:pve1:000008BC:0006EC09:6B04A620:vzdump::root@pam!suite:") == "pve1"
    for wrong in ("", "OK", "UPID:pve1:1:2", "UPID::1:2:3:vzdump::root@pam:"):
        with pytest.raises(ValueError, match="is not a UPID"):
            node_of(wrong)


def test_a_writer_starts_a_task_and_waits_for_it(fake: FakePve) -> None:
    def answer(asked: Any) -> Any:
        if asked.method == "POST":
            return 200, "OK", {"data": UPID}
        if asked.path.endswith("/status"):
            return 200, "OK", {"data": ENDED}
        return 200, "OK", {"data": [{"n": 1, "t": "TASK OK"}]}

    fake.answer = answer
    with PveWriter(fake.api(), TOKEN, lambda *_call: None) as writer:
        result = writer.run_task("POST", "/nodes/pve1/qemu", {"vmid": 202}, timeout=5)
        assert result.status == "OK"
        assert writer.log(UPID) == ("TASK OK",)
