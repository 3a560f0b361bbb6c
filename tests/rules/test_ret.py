"""RET: seven distinct nights, by simulation of what Proxmox really prunes."""

from __future__ import annotations

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap
from tests.rules import builders as b
from tests_infra import test_ret_retention as ret


def judge(facts: Facts, **inventory: object) -> Evidence:
    evidence = Evidence()
    ret.test_retention_keeps_enough_nights(b.mandatory(facts, **inventory), evidence)
    return evidence


def keeping(**changes: object) -> Facts:
    return b.with_jobs([b.job(210, **changes)])


def test_fourteen_days_pass() -> None:
    observed = judge(b.facts()).observed
    assert observed["nights_kept"] == 14
    assert observed["oldest_right_after_pruning"] == "13 d"
    assert observed["retention"] == {"nightly-vm210": "keep-daily=14 (from job nightly-vm210)"}


def test_the_policy_s_own_maxfiles_7_passes_and_its_oldest_point_is_six_days_old() -> None:
    evidence = judge(b.facts(release="8.4.21", jobs={"j": b.job(210, id="j", prune=None, raw={"maxfiles": "7"})}))
    assert evidence.observed["nights_kept"] == 7
    assert evidence.observed["oldest_right_after_pruning"] == "6 d"
    assert evidence.observed["nights_kept_with_a_weekly_backup_by_hand"] == 6
    assert "keep-daily counts nights" in evidence.advice
    assert evidence.advised_remedy == "pvesh set /cluster/backup/j --prune-backups keep-daily=14"


def test_release_9_silently_ignores_maxfiles_and_keeps_everything() -> None:
    evidence = judge(b.facts(jobs={"j": b.job(210, id="j", prune=None, raw={"maxfiles": "7"})}))
    assert evidence.observed["retention"] == {"j": "keep-all=1 (from Proxmox's default, as nothing is set)"}


def test_maxfiles_0_keeps_everything() -> None:
    facts = b.facts(release="7.4.3", jobs={"j": b.job(210, id="j", prune=None, raw={"maxfiles": "0"})})
    assert judge(facts).observed["nights_kept"] > 300


@pytest.mark.parametrize("keep", [{"keep-last": 6}, {"keep-daily": 3}, {"keep-last": 1}, {"keep-hourly": 5}])
def test_too_few_fail(keep: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match=r"\d nights of VM 210 \(dns\) are kept; the policy demands 7"):
        judge(keeping(prune=keep))


def test_keep_last_counts_archives_not_nights() -> None:
    """Four runs a night use up keep-last=7 in two nights."""
    with pytest.raises(AssertionError, match="2 nights of"):
        judge(keeping(schedule="0..3:00", prune={"keep-last": 7}))


def test_keep_daily_counts_nights() -> None:
    assert judge(keeping(schedule="0..3:00", prune={"keep-daily": 7})).observed["nights_kept"] == 7


def test_a_later_rule_cannot_rescue_what_an_earlier_one_removed() -> None:
    observed = judge(keeping(prune={"keep-last": 1, "keep-daily": 6, "keep-weekly": 2})).observed
    assert observed["nights_kept"] >= 8


def test_years_that_have_not_passed_yet_hold_no_restore_points() -> None:
    with pytest.raises(AssertionError, match="2 nights of"):
        judge(keeping(prune={"keep-yearly": 7}))


def test_the_job_wins_over_the_storage_as_a_whole() -> None:
    facts = b.with_definition(prune={"keep-daily": 30})
    jobs = {"nightly-vm210": b.job(210, prune={"keep-last": 2})}
    with pytest.raises(AssertionError, match="2 nights of"):
        judge(b.facts(storages=facts.storages, jobs=jobs))


def test_the_storage_s_retention_counts_where_the_job_says_nothing() -> None:
    facts = b.with_definition(prune={"keep-last": 9})
    observed = judge(b.facts(storages=facts.storages, jobs={"j": b.job(210, id="j", prune=None)})).observed
    assert observed["retention"] == {"j": "keep-last=9 (from storage backup-hdd)"}


def test_vzdump_conf_counts_last() -> None:
    facts = b.facts(jobs={"j": b.job(210, id="j", prune=None)}, defaults={b.NODE: {"prune-backups": "keep-last=2"}})
    with pytest.raises(AssertionError, match="2 nights of"):
        judge(facts)


def test_remove_0_makes_proxmox_refuse_further_backups() -> None:
    with pytest.raises(AssertionError, match=r"remove=0.*refuses every backup of VM 210 \(dns\) once 7 are there"):
        judge(keeping(prune={"keep-last": 7}, remove=False))


def test_remove_0_with_keep_all_refuses_nothing() -> None:
    judge(keeping(prune={"keep-all": 1}, remove=False))


def test_a_second_job_with_a_shorter_retention_ruins_the_first() -> None:
    jobs = [b.job(210), b.job(210, id="hourly", schedule="8..17:00", prune={"keep-last": 3})]
    with pytest.raises(AssertionError, match="nights of"):
        judge(b.with_jobs(jobs))


def test_a_client_may_demand_more() -> None:
    with pytest.raises(AssertionError, match=r"14 nights of .* are kept; the policy demands 21"):
        judge(b.facts(), policy={"storage": b.STORAGE, "keep_nights": 21})


def test_an_unreadable_storage_list_is_unknown() -> None:
    facts = b.facts(jobs={"j": b.job(210, id="j", prune=None)}, storages=Gap("storages", "403", "Datastore.Audit"))
    with pytest.raises(Unknown, match=r"Datastore.Audit"):
        judge(facts)


def test_without_a_job_the_rule_fails() -> None:
    with pytest.raises(AssertionError, match="no enabled job"):
        judge(b.with_jobs([]))
