"""``backup-standard standard``: the catalogue, the commands for tokens, the sudoers file, the pages made of them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from backup_standard.cli import main, pages
from backup_standard.cli.catalogue import catalogue
from backup_standard.collect import sudoers
from backup_standard.errors import OperatorError
from backup_standard.inventory.loader import load
from backup_standard.standard import RULES
from backup_standard.standard.policy import CLAUSES, SECTIONS
from lab.pve.roles import privileges

ROOT = Path(__file__).parents[3]
LAB = ROOT / "inventories" / "lab.yaml"


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["standard", *options]) == 0
    return capsys.readouterr().out


def test_the_catalogue_has_every_rule_with_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    assert set(
        re.findall(r"^([A-Z]{3}-\d\d)  (?:must|should), (?:minimum|standard|added)$", text, re.MULTILINE)
    ) == set(RULES)
    assert text.count("    Why: ") == len(catalogue()) >= len(RULES)
    assert re.search(r"\{\w+\.\w+\}", text) is None, "a placeholder was left"


def test_an_inventory_fills_in_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--inventory", str(LAB))
    assert "pvesm set backup-hdd --is_mountpoint yes" in text
    assert "--storage STORAGE" not in text


def test_rules_whose_files_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="there is no rule CMP-01, CMP-02"):
        catalogue(tmp_path)


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_as_the_code_makes_it(name: str) -> None:
    kept = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert kept == pages.page(name) + "\n", f"backup-standard standard --markdown {name} > docs/{name}.md"


def test_every_clause_has_a_rule_and_every_rule_stands_in_the_page() -> None:
    text = pages.page("standard")
    assert [clause.number for clause in CLAUSES if not clause.rules] == []
    assert {clause.number.partition(".")[0] for clause in CLAUSES} == set(SECTIONS)
    assert len({clause.number for clause in CLAUSES}) == len(CLAUSES)
    for rule in RULES:
        assert f"**{rule}** (" in text


def test_clauses_name_rules_that_are_there_or_say_that_they_are_not() -> None:
    text = pages.page("standard")
    for rule in {one for clause in CLAUSES for one in clause.rules} - set(RULES):
        assert re.fullmatch(r"[A-Z]{3}-\d\d", rule)
        assert f"{rule} (not checked yet)" in text


@pytest.mark.parametrize("option", ["--token", "--drill-token"])
@pytest.mark.parametrize("major", ["7", "8", "9"])
def test_the_page_of_tokens_holds_what_is_printed(capsys: pytest.CaptureFixture[str], option: str, major: str) -> None:
    kept = (ROOT / "docs" / "tokens.md").read_text(encoding="utf-8")
    assert f"```sh\n{printed(capsys, option, '--pve', major)}```\n" in kept + "\n"


@pytest.mark.parametrize("option", ["--token", "--drill-token"])
@pytest.mark.parametrize(("major", "release"), [("8", "8.4"), ("9", "9.2")])
def test_a_role_names_only_privileges_that_the_release_has(
    capsys: pytest.CaptureFixture[str], option: str, major: str, release: str
) -> None:
    text = printed(capsys, option, "--pve", major)
    named = {one for privs in re.findall(r'--privs "([^"]+)"', text) for one in privs.split(",")}
    assert named
    assert named <= privileges(release)


def test_releases_differ(capsys: pytest.CaptureFixture[str]) -> None:
    old, middle, new = (printed(capsys, "--drill-token", "--pve", major) for major in ("7", "8", "9"))
    assert "VM.Monitor" in old
    assert "SDN.Use" not in old
    assert {"VM.Monitor", "SDN.Use"} <= set(re.findall(r"[\w.]+", middle))
    assert "VM.Monitor" not in new
    assert "VM.GuestAgent.Unrestricted" in new
    assert "Mapping.Audit" not in printed(capsys, "--token", "--pve", "7")


def test_the_drill_token_of_a_client_reaches_its_own_ground_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--drill-token", "--inventory", str(LAB))
    inventory = load(LAB).inventory
    drilled = {f"/vms/{vmid}" for vmid, guest in inventory.guests.items() if guest.drill}
    paths = {shlex.split(line)[3] for line in text.splitlines() if line.startswith("pveum acl")}
    bridges = {f"/sdn/zones/localnetwork/{bridge}" for bridge in ("vmbr9", "BRIDGE")}
    assert paths == {"/", "/pool/drill", "/storage/backup-hdd", "/storage/vmdata", *drilled, *bridges}
    at_root = [line for line in text.splitlines() if line.startswith("pveum acl modify / ")]
    assert [line.rsplit(" ", 1)[1] for line in at_root] == ["RestoreNode"]


def test_hostile_names_stay_one_argument(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(LAB.read_text().replace("storage: backup-hdd", 'storage: "x; reboot"'))
    text = printed(capsys, "--drill-token", "--inventory", str(path))
    assert ["pveum", "acl", "modify", "/storage/x; reboot"] in [
        shlex.split(line)[:4] for line in text.splitlines() if line.startswith("pveum acl")
    ]


def test_the_sudoers_file_is_for_the_account_that_the_inventory_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert printed(capsys, "--sudoers") == sudoers.sudoers()
    path = tmp_path / "x.yaml"
    path.write_text(LAB.read_text().replace("ssh: root@", "ssh: auditor@"))
    assert printed(capsys, "--sudoers", "--inventory", str(path)) == sudoers.sudoers("auditor")


def test_an_account_with_an_odd_name_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(LAB.read_text().replace("ssh: root@", "ssh: Auditor@"))
    assert main(["standard", "--sudoers", "--inventory", str(path)]) == 1
    assert "'Auditor' is no name of an account" in capsys.readouterr().err
