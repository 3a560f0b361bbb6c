"""Verdicts in words."""

from __future__ import annotations

from backup_standard.evidence.verdicts import Outcome, Verdict
from backup_standard.evidence.wording import explain, is_command, say_observed, say_value


def test_a_failure_reads_as_sentences() -> None:
    verdict = Verdict(
        "i", "STO-03", "storage s", "Proxmox refuses", "must", "standard", Outcome.FAIL, "because",
        {"is_mountpoint": ""}, "it is unset", "pvesm set s --is_mountpoint yes\nthen look again",
    )  # fmt: skip
    assert explain(verdict) == (
        "  Rule:     Proxmox refuses (must, standard)\n"
        "  Failed:   it is unset\n"
        "  Why:      because\n"
        "  Observed: is mountpoint: none\n"
        "  Remedy:   pvesm set s --is_mountpoint yes\n"
        "            then look again"
    )


def test_other_outcomes_have_their_own_word_and_long_lines_are_folded() -> None:
    verdict = Verdict("i", "A-01", "s", "t", "must", "added", Outcome.UNKNOWN, message="word " * 40 + "\nsecond")
    lines = explain(verdict).splitlines()
    assert lines[1].startswith("  Unknown:  word")
    assert lines[-1] == "            second"
    assert all(len(line) <= 100 for line in lines)


def test_values_as_a_person_writes_them() -> None:
    assert say_value({"job": "zstd", "none": {}}) == "job zstd, none none"
    assert say_value([]) == "none"
    assert say_value(["a", 2]) == "a, 2"
    assert (say_value(value=True), say_value(value=False), say_value(None), say_value(0)) == ("yes", "no", "none", "0")
    assert say_observed({"mounted_now": False, "path": "/x"}) == "mounted now: no; path: /x"


def test_commands_are_told_from_sentences() -> None:
    assert is_command("pvesm set s --is_mountpoint yes")
    assert not is_command("Mend what the log names")
