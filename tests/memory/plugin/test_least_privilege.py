"""The audit with the documented token, without each of its privileges, without SSH, and as an account with sudo.

Judged on the lab's site in memory, whose API checks every privilege. Each case prints what became unknown.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_standard.audit import next_runs
from backup_standard.audit.site import Site
from backup_standard.cli.tokens import audit_token
from backup_standard.collect import collect, deep, sudoers
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Gap
from backup_standard.model.readings import ArchiveReading
from backup_standard.standard import RULES
from backup_standard.standard.privileges import AUDIT, NODE_RULES, Privilege
from lab.scripted.accounts import NodeAccount
from lab.scripted.image import new_host_key
from lab.scripted_ssh import load_key, public_text
from tests import labinventory, labsite, pveum
from tests.drillground import NOON
from tests.judging import Rows, changed, judge, outcomes

ROLES = ("BackupAudit", "NotificationAudit")
NODE = "pve1"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    """The lab's site, its auditor made anew by the commands that are printed."""
    with labsite.running(tmp_path_factory.mktemp("lab"), guests=False) as running:
        seeded = {entry for entry in running.site.access.acl if entry.ugid.startswith("audit@pve")}
        roles = {name: running.site.access.roles[name] for name in ROLES}
        pveum.forget(running.site.access, "audit@pve", *ROLES)
        pveum.carry_out(running.site.access, audit_token((9, 2)), running.secrets.audit_token)
        assert {one for one in running.site.access.acl if one.ugid.startswith("audit@pve")} == seeded
        assert {name: running.site.access.roles[name] for name in ROLES} == roles
        yield running


def inventory(lab: labsite.LabSite, *, ssh: str | None = "root", key: Path | None = None) -> Inventory:
    """The lab's inventory; ``ssh`` is the account on the node, None for none."""
    path = labinventory.write(lab, lab.folder / "lab.yaml")
    text = path.read_text(encoding="utf-8")
    if ssh is None:
        text = re.sub(r"^nodes:\n(  .*\n)+", "", text, flags=re.MULTILINE)
    else:
        text = text.replace("ssh: root@", f"ssh: {ssh}@")
    if key:
        text = text.replace(f"key: {lab.folder}/id_ed25519\n    known", f"key: {key}\n    known")
    path.write_text(text, encoding="utf-8")
    return load(path).inventory


def judged(described: Inventory) -> Rows:
    return judge(Site(described, collect(described)))


@pytest.fixture(scope="module")
def sound(lab: labsite.LabSite) -> Rows:
    """What the documented token's audit comes to."""
    return judged(inventory(lab))


def tell(what: str, rows: Rows) -> None:
    """Print what became unknown, rule by rule."""
    rules: dict[str, list[str]] = {}
    for (rule, subject), row in rows.items():
        rules.setdefault(f"{rule} {row.outcome}", []).append(subject)
    print(f"\n{what}")  # noqa: T201 - the table of this test
    for rule, subjects in sorted(rules.items()):
        print(f"  {rule:<16} {', '.join(subjects)}")  # noqa: T201 - the table of this test


def open_rules(rows: Rows) -> set[str]:
    """Rules that are undecided on a sound lab already: what virtual disks cannot show, and its inventory attests."""
    return {rule for (rule, _), row in rows.items() if row.outcome in {"unknown", "attested"}}


def test_the_documented_token_sees_what_root_sees(lab: labsite.LabSite, sound: Rows) -> None:
    described = inventory(lab)
    name, secret = lab.tokens["root"]
    (lab.folder / "root-token").write_text(secret)
    token = described.api.audit_token.model_copy(update={"id": name, "secret": f"file:{lab.folder}/root-token"})
    as_root = judged(described.model_copy(update={"api": described.api.model_copy(update={"audit_token": token})}))
    assert outcomes(as_root) == outcomes(sound)
    assert {row.outcome for row in sound.values()} <= {"pass", "advisory", "attested", "unknown"}
    assert open_rules(sound) <= {"STO-05", "STO-07", "VER-05", "WFL-03"}


@pytest.mark.parametrize("privilege", AUDIT, ids=lambda one: one.name)
def test_without_a_privilege_its_rules_are_unknown_and_name_it(
    lab: labsite.LabSite, sound: Rows, monkeypatch: pytest.MonkeyPatch, privilege: Privilege
) -> None:
    roles = {name: set(privs) - {privilege.name} for name, privs in lab.site.access.roles.items()}
    monkeypatch.setattr(lab.site.access, "roles", roles)
    without_ssh = privilege.instead_of_ssh
    described = inventory(lab, ssh=None if without_ssh else "root")
    before = sound
    if without_ssh:
        with pytest.MonkeyPatch.context() as restored:
            restored.setattr(
                lab.site.access, "roles", {**roles, "BackupAudit": {*roles["BackupAudit"], privilege.name}}
            )
            before = judged(described)
    facts = collect(described)
    rows = changed(before, judge(Site(described, facts)))
    tell(f"without {privilege.name} on {privilege.path}", rows)

    assert any(f"{privilege.name} on " in gap.need for gap in facts.gaps), "the gap is not listed"
    assert {row.outcome for row in rows.values()} == {"unknown"}
    assert {rule for rule, _ in rows} == (set(privilege.rules) & set(RULES)) - open_rules(before)
    for (rule, _), row in rows.items():
        assert privilege.name in row.message, f"{rule} does not name it: {row.message}"


def test_a_token_that_may_not_see_archives_never_finds_none(lab: labsite.LabSite) -> None:
    """With the right on every storage but the one of the backups: the site's list is there, and one storage is not."""
    access = lab.site.access
    access.add_role("Blind", {"VM.Audit"})
    for who in ("audit@pve", "audit@pve!suite"):
        access.grant("/storage/backup-hdd", who, "Blind")
    try:
        rows = judged(inventory(lab))
    finally:
        for who in ("audit@pve", "audit@pve!suite"):
            access.revoke("/storage/backup-hdd", who, "Blind")
    for rule in ("VER-02", "VER-03", "RET-03", "CMP-02", "STO-01"):
        found = [row for (ident, _), row in rows.items() if ident == rule]
        assert {row.outcome for row in found} == {"unknown"}, rule
        assert all("Datastore.Audit" in row.message for row in found)


def test_without_ssh_what_needs_the_node_is_unknown_and_names_it(lab: labsite.LabSite, sound: Rows) -> None:
    described = inventory(lab, ssh=None)
    rows = changed(sound, judged(described))
    tell("without SSH", rows)
    assert {row.outcome for row in rows.values()} == {"unknown"}
    assert {rule for rule, _ in rows} == set(NODE_RULES) & set(RULES) - open_rules(sound)
    assert all(f"node {NODE}" in row.message and "SSH" in row.message for row in rows.values())


@pytest.fixture
def account(lab: labsite.LabSite) -> Iterator[NodeAccount]:
    """An account on the node with the printed sudoers file, and its key beside the lab's."""
    key = new_host_key()
    path = lab.folder / "audit-key"
    path.touch(mode=0o600)
    path.write_text(key)
    made = NodeAccount(sudoers.ACCOUNT, public_text(load_key(key)), sudoers.sudoers())
    lab.ssh.accounts[made.name] = made
    yield made
    del lab.ssh.accounts[made.name]


def test_as_an_account_with_the_sudoers_file_every_verdict_is_roots(
    lab: labsite.LabSite, sound: Rows, account: NodeAccount
) -> None:
    rows = judged(inventory(lab, ssh=account.name, key=lab.folder / "audit-key"))
    assert account.refused == []
    assert rows.keys() == sound.keys()
    assert changed(sound, rows) == {}


@pytest.fixture
def noon(lab: labsite.LabSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's clock far from any nightly run, near which no archive is read."""
    monkeypatch.setattr(lab.hypervisor.node, "skew", NOON - time.time())


@pytest.mark.usefixtures("noon")
def test_the_account_reads_an_archive_from_end_to_end(lab: labsite.LabSite, account: NodeAccount) -> None:
    described = inventory(lab, ssh=account.name, key=lab.folder / "audit-key")
    facts = collect(described)
    newest = [one.newest_archive.archive for one in Site(described, facts).guests if one.newest_archive]
    found = deep.read_archives(described, facts, deep.Wish(newest, next_runs.of(facts)), lambda _text: None)
    assert account.refused == []
    assert len(found) == 5
    assert {one.problem if isinstance(one, ArchiveReading) else str(one) for one in found.values()} == {""}


@pytest.mark.usefixtures("noon")
def test_an_archive_that_sudo_does_not_hand_out_proves_nothing(lab: labsite.LabSite, account: NodeAccount) -> None:
    described = inventory(lab, ssh=account.name, key=lab.folder / "audit-key")
    facts = collect(described)
    (newest, *_) = [one.newest_archive.archive for one in Site(described, facts).guests if one.newest_archive]
    account.sudoers = re.sub(r"    /usr/bin/cat \^-- .*\n", "", account.sudoers)
    (one,) = deep.read_archives(described, facts, deep.Wish([newest], next_runs.of(facts)), lambda _text: None).values()
    assert len(account.refused) == 1
    assert isinstance(one, Gap)
    assert not one.broken
    assert "sudo: a password is required" in one.reason


def test_a_command_that_sudo_refuses_makes_the_node_unknown_and_is_named(
    lab: labsite.LabSite, sound: Rows, account: NodeAccount
) -> None:
    account.sudoers = re.sub(r"    /usr/bin/findmnt .*\n", "", account.sudoers)
    rows = changed(sound, judged(inventory(lab, ssh=account.name, key=lab.folder / "audit-key")))
    tell("without findmnt in the sudoers file", rows)
    assert {row.outcome for row in rows.values()} == {"unknown"}
    assert any("sudo does not let backup-audit run: findmnt -J -T" in row.message for row in rows.values())
    assert all("SSH" in row.message for row in rows.values())
