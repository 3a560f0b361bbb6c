"""``waive`` and ``attest`` write one entry, and nothing else changes."""

from __future__ import annotations

import datetime as dt
import difflib
import os
from pathlib import Path

import pytest

from backup_standard import cli
from backup_standard.inventory.loader import load

INVENTORIES = Path(__file__).parents[3] / "inventories"
SOON = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=60)).isoformat()
LATER = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=90)).isoformat()
HEAD = """\
client: acme     # whose
site: {name: office,   timezone: Europe/Berlin}
api: {url: "https://pve1.example:8006", audit_token: {id: "audit@pve!suite", secret: 'env:ACME'}}
policy: {storage: backup-hdd}
guests:
  210: {role: dns}   # the name server
"""
AT_THE_MARGIN = """\
waivers:
- rule: RET-01   # block at the margin
  subject: '210'
  reason: old
  approved_by: C
  expires: 2027-01-01
# the end
"""
DEEP = """\
waivers:
    # deep
    - rule: RET-01
      subject: '210'
      reason: >-
        folded
        text
      approved_by: C
      expires: 2027-01-01

not_deployed: {dns: later}  # last
"""


def waive(path: Path, *changes: str, rule: str = "VER-02", subject: str = "210", expires: str = SOON) -> int:
    given = ["--reason", "moves in: spring", "--approved-by", "B. Boss", "--expires", expires]
    return cli.main(["waive", str(path), rule, subject, *given, *changes])


def attest(path: Path, *changes: str, rule: str = "STO-05", subject: str = "pve1/backup-hdd") -> int:
    given = ["--statement", "own drive in bay 4", "--by", "A. Admin", "--until", SOON]
    return cli.main(["attest", str(path), rule, subject, *given, *changes])


def copy_of(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_text((INVENTORIES / name).read_text(encoding="utf-8"), encoding="utf-8")
    return path


def removed(before: str, after: str) -> list[str]:
    """The lines that are gone or changed."""
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line.startswith("- ")]


@pytest.mark.parametrize("name", ["example.yaml", "lab.yaml"])
def test_a_waiver_and_an_attestation_are_added_and_no_other_line_changes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy_of(name, tmp_path)
    before = path.read_text(encoding="utf-8")
    assert waive(path) == 0
    line = path.read_text(encoding="utf-8").splitlines().index("  - rule: VER-02") + 1
    assert attest(path, subject="pve9/backup-hdd") == 0
    assert removed(before, path.read_text(encoding="utf-8")) == []
    inventory = load(path).inventory
    assert [(one.rule, one.subject, one.reason, one.approved_by) for one in inventory.waivers] == [
        ("VER-02", "210", "moves in: spring", "B. Boss")
    ]
    mine = inventory.attestations[-1]
    assert (mine.rule, mine.subject, mine.statement, mine.by) == (
        "STO-05", "pve9/backup-hdd", "own drive in bay 4", "A. Admin",
    )  # fmt: skip
    assert abs((mine.date - dt.datetime.now(dt.UTC).date()).days) <= 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{path}:{line}: waivers[0]: VER-02 is waived for 210 until {SOON} (")
    assert f": STO-05 is attested for pve9/backup-hdd until {SOON} (" in said[1]


@pytest.mark.parametrize(
    "waivers",
    [
        "waivers: []\n",
        'waivers: [{rule: RET-01, subject: "210", reason: old, approved_by: C, expires: 2027-01-01}]   # flow\n',
        AT_THE_MARGIN,
        DEEP,
    ],
)
def test_it_joins_the_waivers_that_are_there(waivers: str, tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(HEAD + waivers)
    had = load(path).inventory.waivers
    assert waive(path) == 0
    after = path.read_text()
    assert [*had] == load(path).inventory.waivers[:-1]
    assert load(path).inventory.waivers[-1].rule == "VER-02"
    for comment in ("# whose", "# the name server", "# flow", "# block at the margin", "# the end", "# deep", "# last"):
        assert (comment in after) == (comment in HEAD + waivers)
    assert after.count("waivers:") == 1


def test_an_entry_of_the_same_rule_and_subject_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(HEAD)
    waive(path)
    path.write_text(path.read_text().replace("rule: VER-02", "rule: VER-02   # see ticket 7"))
    assert waive(path, expires=LATER) == 0
    (only,) = load(path).inventory.waivers
    assert only.expires.isoformat() == LATER
    assert "# see ticket 7" in path.read_text()
    assert f"it replaces the waiver by B. Boss until {SOON}: moves in: spring" in capsys.readouterr().out
    attest(path)
    assert attest(path, "--date", "2026-01-02") == 0
    (statement,) = load(path).inventory.attestations
    assert statement.date == dt.date(2026, 1, 2)
    assert f"it replaces the attestation by A. Admin until {SOON}: own drive in bay 4" in capsys.readouterr().out


def test_line_endings_permissions_and_links_stay(tmp_path: Path) -> None:
    path = tmp_path / "real.yaml"
    path.write_bytes(HEAD.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    link = tmp_path / "acme.yaml"
    link.symlink_to(path)
    assert waive(link) == 0
    content = path.read_bytes()
    assert content.startswith(HEAD.replace("\n", "\r\n").encode())
    assert content.count(b"\n") == content.count(b"\r\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["acme.yaml", "real.yaml"]


def test_a_lower_case_rule_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(HEAD)
    assert waive(path, rule="ver-02") == 0
    assert load(path).inventory.waivers[0].rule == "VER-02"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "VER-2"}, "RULE: there is no rule 'VER-2'; did you mean VER-02?"),
        ({"subject": "dns"}, "SUBJECT: VER-02 judges guests; write \"210\", not 'dns'"),
        ({"expires": "2020-01-01"}, "--expires: the waiver expired on 2020-01-01"),
        ({"expires": "2099-01-01"}, "--expires: 2099-01-01 is more than a year off"),
        ({"": ("--approved-by", " ")}, "--approved-by: the approver is missing"),
        ({"": ("--reason", "")}, "--reason: the reason is empty"),
    ],
)
def test_what_would_not_count_is_not_written(
    changes: dict[str, str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(HEAD)
    given = dict(changes)
    assert waive(path, *given.pop("", ()), **given) == 1
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.endswith("Next: nothing was written; mend that and try again\n")
    assert path.read_text() == HEAD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--date", "2099-01-01"), "--date: 2099-01-01 is not here yet"),
        (("--until", "2020-01-01"), "--until: the attestation ended on 2020-01-01"),
        (("--statement", " "), "--statement: the statement is empty"),
        (("--by", " "), "--by: nobody attests this"),
    ],
)
def test_a_statement_that_would_not_count_is_not_written(
    changes: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(HEAD)
    assert attest(path, *changes) == 1
    assert capsys.readouterr().err.startswith(message)
    assert path.read_text() == HEAD


def test_a_date_that_is_none_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        waive(tmp_path / "acme.yaml", expires="31.01.2027")
    assert ended.value.code == 2
    assert "'31.01.2027' is not a date; write YYYY-MM-DD" in capsys.readouterr().err


def test_a_faulty_inventory_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text("client: acme\n")
    assert waive(path) == 1
    assert f"{path}:1: site: this key is missing" in capsys.readouterr().err
    assert path.read_text() == "client: acme\n"


def test_what_cannot_be_added_is_shown_to_add_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.yaml"
    shared = "attestations: &kept []\nwaivers: *kept\n"
    path.write_text(HEAD + shared)
    assert waive(path) == 1
    said = capsys.readouterr().err
    assert "cannot be added without changing something else in the file" in said
    assert "add it by hand:\nwaivers:\n- rule: VER-02\n" in said
    assert path.read_text() == HEAD + shared


def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(HEAD)

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", full)
    assert waive(path) == 1
    assert "the file cannot be written: No space left on device" in capsys.readouterr().err
    assert path.read_text() == HEAD
    assert [one.name for one in tmp_path.iterdir()] == ["acme.yaml"]


@pytest.mark.parametrize("name", ["waive", "attest"])
def test_help_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    said = capsys.readouterr().out
    assert f"backup-standard {name} inventories/acme.yaml STO-0" in said
    assert "exit status: 0 written, 1 nothing was written" in said
