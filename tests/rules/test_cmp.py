"""CMP: zstd, set in the job or in vzdump.conf."""

from __future__ import annotations

import pytest

from backup_standard.errors import Unknown
from backup_standard.evidence.notes import Evidence
from backup_standard.model import Facts, Gap
from tests.rules import builders as b
from tests_infra import test_cmp_compression as cmp


def judge(facts: Facts) -> Evidence:
    evidence = Evidence()
    cmp.test_job_compresses_with_zstd(b.mandatory(facts), evidence)
    return evidence


def test_zstd_passes() -> None:
    assert judge(b.facts()).observed["compression"] == {"nightly-vm210": "zstd"}


@pytest.mark.parametrize(
    ("value", "said"), [("gzip", "gzip"), ("1", "lzo"), ("lzo", "lzo"), ("0", "none"), ("", "none")]
)
def test_anything_else_fails(value: str, said: str) -> None:
    with pytest.raises(
        AssertionError, match=rf"no job of VM 210 \(dns\) compresses with zstd: job nightly-vm210 uses {said}"
    ):
        judge(b.with_jobs([b.job(210, compress=value)]))


def test_proxmox_does_not_compress_unless_told() -> None:
    with pytest.raises(AssertionError, match="uses none"):
        judge(b.with_jobs([b.job(210, compress=None)]))


def test_vzdump_conf_may_set_it() -> None:
    facts = b.facts(jobs={"j": b.job(210, id="j", compress=None)}, defaults={b.NODE: {"compress": "zstd"}})
    assert judge(facts).observed["compression"] == {"j": "zstd"}


def test_unreadable_defaults_are_unknown() -> None:
    facts = b.facts(jobs={"j": b.job(210, id="j", compress=None)}, defaults={b.NODE: Gap("vzdump defaults", "403")})
    with pytest.raises(Unknown, match="vzdump defaults"):
        judge(facts)


def test_one_zstd_job_is_enough() -> None:
    judge(b.with_jobs([b.job(210, compress="gzip"), b.job(210, id="other")]))
