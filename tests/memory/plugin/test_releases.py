"""The audit of one site as each release shows it, with the token that is printed for that release.

9.2 and 8.4 answer as recorded, 7.4 as derived (``lab/RELEASES.md``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from backup_standard import cli
from backup_standard.audit.site import Site
from backup_standard.cli.tokens import audit_token
from backup_standard.collect import collect, deep
from backup_standard.evidence.notes import Evidence
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from backup_standard.standard import RULES
from backup_standard.standard.privileges import AUDIT, Privilege, release_of
from lab.pve import cronjobs, nodes
from lab.pve.call import Call
from lab.pve.releases import Version
from lab.pve.routes import ROUTES
from tests import labinventory, labsite, pveum
from tests.judging import Rows, changed, judge, outcomes
from tests.memory.plugin.conftest import Project
from tests_infra import test_ver_verification as ver

pytest_plugins = ["pytester"]
OLD: tuple[Version, ...] = ("8.4", "7.4")


@dataclass
class Shown:
    """The site as one release shows it, and what its audit came to."""

    lab: labsite.LabSite
    inventory: Inventory
    facts: Facts
    rows: Rows


@contextmanager
def site_of(version: Version, folder: Path) -> Iterator[Shown]:
    """The lab's site, its auditor made anew by the commands that are printed for that release."""
    with labsite.running(folder, version=version, guests=False) as lab:
        access = lab.site.access
        pveum.forget(access, "audit@pve", "BackupAudit", "NotificationAudit")
        pveum.carry_out(access, audit_token(release_of(version)), lab.secrets.audit_token)
        inventory = load(labinventory.write(lab, folder / "lab.yaml")).inventory
        facts = collect(inventory)
        yield Shown(lab, inventory, facts, judge(Site(inventory, facts)))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Version, Shown]]:
    """One site for each release."""
    folder = tmp_path_factory.mktemp("releases")
    with (
        site_of("9.2", folder / "9.2") as new,
        site_of("8.4", folder / "8.4") as old,
        site_of("7.4", folder / "7.4") as oldest,
    ):
        yield {"9.2": new, "8.4": old, "7.4": oldest}


def test_every_release_of_the_lab_is_here(sites: dict[Version, Shown]) -> None:
    assert set(sites) == set(get_args(Version))
    for version, shown in sites.items():
        assert shown.facts.release == version
        assert not shown.facts.gaps, f"the printed token of {version} does not see everything"


@pytest.mark.parametrize("version", OLD)
def test_every_verdict_is_as_on_9(sites: dict[Version, Shown], version: Version) -> None:
    """There is nothing that an older release cannot say, as long as its jobs name who gets mail (see below)."""
    assert outcomes(sites[version].rows) == outcomes(sites["9.2"].rows)
    assert len({rule for rule, _ in sites[version].rows}) > 35


@pytest.mark.parametrize(
    ("version", "told"), [("9.2", "matcher default-matcher to mail-to-root"), ("7.4", "mail to root")]
)
def test_release_7_has_no_notifications_and_tells_by_mail(
    sites: dict[Version, Shown], version: Version, told: str
) -> None:
    """VER-07 is judged by a job's ``mailto`` alone: the only thing that 7 says otherwise."""
    shown, evidence = sites[version], Evidence()
    guest = next(one for one in Site(shown.inventory, shown.facts).guests if one.vmid == 210)
    ver.test_somebody_is_told_when_a_backup_fails(guest, evidence)
    assert told in str(evidence.observed)


def test_without_an_address_nobody_is_told_on_7(sites: dict[Version, Shown]) -> None:
    shown = sites["7.4"]
    shown.lab.data("PUT", "/cluster/backup/nightly-vm210", "root", delete="mailto")
    try:
        rows = changed(shown.rows, judge(Site(shown.inventory, collect(shown.inventory))))
    finally:
        shown.lab.data("PUT", "/cluster/backup/nightly-vm210", "root", mailto="root")
    assert {key: str(row.outcome) for key, row in rows.items()} == {("VER-07", "210"): "advisory"}
    assert "no address is set (mailto)" in rows["VER-07", "210"].message


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("privilege", [one for one in AUDIT if not one.instead_of_ssh], ids=lambda one: one.name)
def test_without_a_privilege_its_rules_are_unknown_on_older_releases_too(
    sites: dict[Version, Shown], monkeypatch: pytest.MonkeyPatch, version: Version, privilege: Privilege
) -> None:
    shown = sites[version]
    roles = {name: privs - {privilege.name} for name, privs in shown.lab.site.access.roles.items()}
    monkeypatch.setattr(shown.lab.site.access, "roles", roles)
    rows = changed(shown.rows, judge(Site(shown.inventory, collect(shown.inventory))))
    needed = set(privilege.rules) & set(RULES) if privilege.known_in(release_of(version)) else set()
    undecided = {rule for (rule, _), row in shown.rows.items() if row.outcome in {"unknown", "attested"}}
    assert {rule for rule, _ in rows} == needed - undecided
    assert {str(row.outcome) for row in rows.values()} <= {"unknown"}
    assert all(privilege.name in row.message for row in rows.values())


@pytest.mark.parametrize("version", OLD)
def test_init_drafts_the_same_inventory(
    sites: dict[Version, Shown], capsys: pytest.CaptureFixture[str], version: Version
) -> None:
    """The isolated bridge included, for which the printed token of 7 holds no right, as none is needed."""
    drafts = []
    for shown in (sites["9.2"], sites[version]):
        lab = shown.lab
        given = ["--host", lab.url, "--token", "audit@pve!suite", "--ca", str(lab.ca)]
        assert cli.main(["inventory", "init", *given, "--secret", f"file:{lab.folder}/audit-token"]) == 0
        text = capsys.readouterr().out.replace(str(lab.folder), "FOLDER").replace(lab.url, "URL")
        assert f"Proxmox VE {shown.facts.release}" in text
        drafts.append(text.replace(shown.facts.release, "RELEASE"))
    assert "bridge: vmbr9" in drafts[0]
    assert drafts[0] == drafts[1]


def test_a_whole_run_against_7_is_green(
    sites: dict[Version, Shown], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep._Place, "_deadline", lambda *_: 3600.0)  # whatever hour it is
    project = Project(pytester).with_our_rules()
    shutil.copy(sites["7.4"].lab.folder / "lab.yaml", project.path / "inventories" / "acme.yaml")
    result = project.run("--deep")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*Proxmox VE 7.4*", "COMPLIANT: *all met*"])
    assert project.rows() == project.judged()


@contextmanager
def with_maxfiles(shown: Shown, place: str, count: int) -> Iterator[None]:
    """Guest 210's job says nothing of retention, and ``maxfiles`` stands in that place: as an upgrade leaves it."""
    site = shown.lab.site
    job = site.jobs["nightly-vm210"]
    kept = job.pop("prune-backups")
    section = {"job": job, "storage": site.storages["backup-hdd"], "vzdump.conf": site.vzdump_conf}[place]
    section["maxfiles"] = count
    try:
        yield
    finally:
        del section["maxfiles"]
        job["prune-backups"] = kept


@pytest.mark.parametrize("place", ["job", "storage", "vzdump.conf"])
@pytest.mark.parametrize(
    ("version", "count", "red"),
    [
        ("7.4", 14, set()),
        ("7.4", 3, {"RET-01"}),
        ("7.4", 0, {"RET-02"}),
        ("8.4", 14, set()),
        ("8.4", 3, {"RET-01"}),
        ("9.2", 14, {"RET-02"}),
    ],
)
def test_maxfiles_counts_up_to_8_and_is_passed_over_by_9(
    sites: dict[Version, Shown], version: Version, place: str, count: int, red: set[str]
) -> None:
    shown = sites[version]
    with with_maxfiles(shown, place, count):
        rows = changed(shown.rows, judge(Site(shown.inventory, collect(shown.inventory))))
    assert {rule for (rule, _), row in rows.items() if row.outcome == "fail"} == red
    if count == 3:
        assert "3 nights of VM 210" in rows["RET-01", "210"].message


CRON = "0 2 * * {days} root vzdump 210 --storage backup-hdd --mode snapshot --compress zstd --quiet 1 {more}\n"


def with_cron_alone(shown: Shown, line: str) -> Rows:
    """The rows with that line in vzdump.cron, in place of the job of guest 210."""
    node, jobs = shown.lab.hypervisor.node, shown.lab.site.jobs
    job = jobs.pop("nightly-vm210")
    node.write("/etc/pve/vzdump.cron", line.encode())
    try:
        return judge(Site(shown.inventory, collect(shown.inventory)))
    finally:
        node.unlink("/etc/pve/vzdump.cron")
        jobs["nightly-vm210"] = job


@pytest.mark.parametrize(
    ("version", "days", "more", "red"),
    [
        ("7.4", "*", "--mailto root --maxfiles 14", set()),
        ("8.4", "*", "--maxfiles 14", set()),
        ("9.2", "*", "--prune-backups keep-last=14", set()),
        ("7.4", "*", "--mailto root --maxfiles 3", {"RET-01"}),
        ("7.4", "mon-fri", "--mailto root --maxfiles 14", {"SCH-01"}),
    ],
)
def test_a_site_that_was_upgraded_from_before_7_1(
    sites: dict[Version, Shown], version: Version, days: str, more: str, red: set[str]
) -> None:
    """Its guest's only job stands in vzdump.cron: that is told, and judged as the job that it is."""
    rows = with_cron_alone(sites[version], CRON.format(days=days, more=more))
    now = {rule for (rule, _), row in rows.items() if row.outcome == "fail"}
    assert now == red
    assert rows["SCH-03", "pve1"].outcome == "advisory"
    assert "vzdump.cron" in rows["SCH-03", "pve1"].message
    assert rows["SCH-05", "210"].outcome == "advisory", "no such job has a name of its own"


def test_on_9_a_line_with_maxfiles_is_no_job_any_more(sites: dict[Version, Shown]) -> None:
    """The API of 9 drops it without a word; that there is a line is seen on the node, that it backs nothing up here."""
    rows = with_cron_alone(sites["9.2"], CRON.format(days="*", more="--maxfiles 14"))
    assert rows["TGT-02", "210"].outcome == "fail"
    assert rows["SCH-01", "210"].outcome == "fail"
    assert rows["SCH-03", "pve1"].outcome == "advisory"


@pytest.fixture
def seven_zero(sites: dict[Version, Shown], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """The site of 7.4 as 7.0 would show it: every job in vzdump.cron, listed without a schedule, and no scheduler."""
    shown = sites["7.4"]
    site, node = shown.lab.site, shown.lab.hypervisor.node
    lines = [
        CRON.format(days="*", more="--mailto root --maxfiles 14").replace("210", str(vmid)) for vmid in site.guests
    ]
    monkeypatch.setattr(site, "jobs", {})
    node.write(cronjobs.FILE, "".join(lines).encode())

    def listed(call: Call) -> object:
        jobs = [{"id": name, **job} for name, job in cronjobs.of(call.site).items()]
        return [{key: value for key, value in job.items() if key != "schedule"} for job in jobs]

    def status(call: Call) -> object:
        return {**nodes.status(call), "pveversion": "pve-manager/7.0-14/a9dbe7e3"}  # type: ignore[dict-item]

    monkeypatch.setitem(ROUTES, "GET /cluster/backup", listed)
    monkeypatch.setitem(ROUTES, "GET /nodes/{node}/status", status)
    monkeypatch.setitem(ROUTES, "GET /version", lambda _call: {"version": "7.0-14", "release": "7.0", "repoid": "a"})
    monkeypatch.delitem(ROUTES, "GET /cluster/jobs/schedule-analyze")
    monkeypatch.delitem(node.host.services, "pvescheduler.service")
    yield shown
    node.unlink(cronjobs.FILE)


def test_a_site_that_is_still_older_than_7_1(seven_zero: Shown) -> None:
    """Its jobs run every night by cron, which needs no companion in spring; only the scheduler cannot be judged."""
    facts = collect(seven_zero.inventory)
    assert facts.release == "7.0"
    rows = changed(seven_zero.rows, judge(Site(seven_zero.inventory, facts)))
    found = {rule: str(row.outcome) for (rule, _), row in rows.items()}
    assert found == {"SCH-01": "pass", "SCH-03": "unknown", "SCH-05": "advisory", "TGT-05": "pass"}
    assert "Proxmox VE 7.0 has none" in rows["SCH-03", "pve1"].message
