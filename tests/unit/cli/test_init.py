"""``inventory init`` drafts an inventory from a site: sound, honest about what is guessed, and read-only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from backup_standard import cli
from backup_standard.cli.discover import Discovered
from backup_standard.cli.draft import draft, scalar
from backup_standard.inventory.loader import Loaded, load, parse
from backup_standard.inventory.schema import ApiSection
from backup_standard.model import Gap, GuestKind, StorageStatus
from backup_standard.pve.tls import Endpoint, fingerprint_of, presented
from tests import labsite
from tests.rules import builders as b

API = ApiSection.model_validate(
    {"url": "https://pve1.example:8006", "audit_token": {"id": "audit@pve!suite", "secret": "env:ACME"}}
)
DISKS = b.Storage("local-lvm", "lvmthin", frozenset({"images", "rootdir"}))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    with labsite.running(tmp_path_factory.mktemp("lab"), guests=False) as running:
        yield running


def init(lab: labsite.LabSite, *more: str, who: str = "audit") -> int:
    given = ["--host", lab.url, "--token", f"{who}@pve!suite", "--secret", f"file:{lab.folder}/{who}-token"]
    return cli.main(["inventory", "init", *given, *more])


def shown(lab: labsite.LabSite) -> str:
    """The fingerprint of the certificate that the lab presents."""
    certificate = presented(Endpoint.of(ApiSection.model_validate(API.model_dump() | {"url": lab.url})))
    assert certificate
    return fingerprint_of(certificate.public_bytes(Encoding.DER))


def found(**changes: Any) -> Discovered:
    """A small sound site."""
    made = Discovered(
        name="acme", release="9.2", nodes={"pve1": "192.0.2.1"}, zones={"pve1": "Europe/Berlin"},
        guests=(b.guest(100, "golden", template=True), b.guest(210, "dns")), jobs=(b.job(100), b.job(210)),
        storages=(b.Storage(b.STORAGE, "dir", frozenset({"backup"}), path="/mnt/backup"), DISKS),
        statuses=(StorageStatus("local-lvm", "pve1", active=True, enabled=True, total=9, used=1, avail=8),),
        bridges={"vmbr9": ("pve1",)}, gaps=(),
    )  # fmt: skip
    return replace(made, **changes)


def drafted(**changes: Any) -> tuple[str, Loaded]:
    text = draft(found(**changes), API, client="acme", made="today", schema=False)
    return text, parse(text, Path("acme.yaml"))


def test_the_lab_is_drafted_and_the_draft_is_sound(
    lab: labsite.LabSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "acme.yaml"
    tasks = len(lab.site.tasks.all())
    assert init(lab, "--ca", str(lab.ca), "--output", str(path)) == 0
    assert len(lab.site.tasks.all()) == tasks
    inventory = load(path).inventory
    assert inventory.client == "acme"
    assert inventory.policy.storage == "backup-hdd"
    assert inventory.site.timezone == "Europe/Berlin"
    assert {vmid: one.role for vmid, one in inventory.guests.items()} == {
        100: "golden-template", 200: "client-data", 210: "client-data", 220: "client-data", 230: "client-data",
    }  # fmt: skip
    assert inventory.drill
    assert (inventory.drill.bridge, inventory.drill.storage, inventory.drill.vmids) == ("vmbr9", "vmdata", "9000-9099")
    text = path.read_text()
    assert "# check: dns, by its name? VM on pve1, backed up by nightly-vm210" in text
    assert "# the only template on pve1, backed up by nightly-vm100" in text
    assert "$schema" not in text
    assert max(map(len, text.splitlines())) <= 160
    said = capsys.readouterr()
    assert said.out.startswith(f"{path}: 5 guests, 1 nodes, 5 backup jobs\n")
    assert said.err == ""
    assert cli.main(["inventory", "check", str(path)]) == 0


def test_without_an_output_it_goes_to_the_terminal(lab: labsite.LabSite, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(lab, "--fingerprint", shown(lab), "--client", "other") == 0
    text = capsys.readouterr().out
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    loaded = parse(text, Path("x.yaml")).inventory
    assert loaded.client == "other"
    assert loaded.api.fingerprint == shown(lab)


def test_first_contact_shows_the_fingerprint_and_sends_nothing(
    lab: labsite.LabSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "acme.yaml"
    assert init(lab, "--output", str(path)) == 1
    said = capsys.readouterr().err
    assert f"if it is the same: --fingerprint {shown(lab)}" in said
    assert "openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256" in said
    assert not path.exists()


def test_a_wrong_pin_is_refused(lab: labsite.LabSite, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(lab, "--fingerprint", ":".join(["00"] * 32)) == 1
    assert "the certificate is not the pinned one" in capsys.readouterr().err


def test_nothing_is_overwritten(lab: labsite.LabSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text("mine")
    assert init(lab, "--ca", str(lab.ca), "--output", str(path)) == 1
    assert "there is an inventory already" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert init(lab, "--ca", str(lab.ca), "--output", str(tmp_path / "no" / "acme.yaml")) == 1
    assert "the file cannot be written: No such file or directory" in capsys.readouterr().err


def test_a_token_that_sees_too_little_is_told(lab: labsite.LabSite, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(lab, "--ca", str(lab.ca), who="drill") == 0
    streams = capsys.readouterr()
    assert "# NOT SEEN: the list of guests: the token drill@pve!suite has no VM.Audit on /" in streams.out
    assert "note: not seen: the list of guests: " in streams.err
    parse(streams.out, Path("x.yaml"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "http://pve1"], "--host: write https://HOST:8006"),
        (["--token", "root@pam"], "--token: write USER@REALM!NAME"),
        (["--secret", "s3cret-value"], "--secret: a secret is a reference: env:NAME"),
        (["--fingerprint", "AB"], "--fingerprint: write 32 pairs"),
        (["--secret", "env:NOT_SET_ANYWHERE"], "the environment variable NOT_SET_ANYWHERE is not set"),
        (["--host", "127.0.0.1:1"], "https://127.0.0.1:1: nothing listens there"),
    ],
)
def test_a_wrong_option_is_named(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME", "secret")
    given = ["--host", "pve1.invalid", "--token", "audit@pve!suite", "--secret", "env:ACME"]
    assert cli.main(["inventory", "init", *given, *options]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "s3cret" not in said


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["inventory", "init", "--help"])
    said = capsys.readouterr().out
    assert "backup-standard inventory init --host pve1.acme.example --token audit@pve!suite" in said
    assert "exit status: 0 written, 1 nothing was written" in said


HOSTILE = 'a"\n  999: {role: scratch} # \\ {{'


def test_hostile_names_stay_names() -> None:
    guests = [(100, HOSTILE), (210, "yes"), (220, "[x]"), (230, "é\x85")]
    text, loaded = drafted(
        guests=tuple(b.guest(vmid, name, template=vmid == 100, node=HOSTILE) for vmid, name in guests),
        name=HOSTILE, release=HOSTILE, gaps=(Gap(HOSTILE, HOSTILE),), nodes={HOSTILE: HOSTILE},
    )  # fmt: skip
    inventory = loaded.inventory
    assert set(inventory.guests) == {100, 210, 220, 230}
    assert inventory.guests[210].name == "yes"
    assert inventory.guests[220].name == "[x]"
    assert inventory.guests[100].role == "golden-template"
    assert inventory.guests[100].name == HOSTILE.replace("\n", "\N{REPLACEMENT CHARACTER}")
    assert not any(line.startswith("  999") for line in text.splitlines())


@pytest.mark.parametrize("text", ["yes", "NULL", "1e3", "0x1f", "a: b", "a #b", "", " a", "&a", "*a", "a\tb", "Ü", "-"])
def test_scalars_mean_themselves(text: str) -> None:
    _, loaded = drafted(guests=(b.guest(100, text) if text else replace(b.guest(100), name=""),))
    assert loaded.inventory.guests[100].name == text.replace("\t", "\N{REPLACEMENT CHARACTER}")
    assert "\n" not in scalar(text)


def test_several_templates_leave_the_role_open() -> None:
    text, loaded = drafted(guests=(b.guest(100, template=True), b.guest(101, template=True)))
    assert {one.role for one in loaded.inventory.guests.values()} == {"client-data"}
    assert text.count("check: golden-template? one of several") == 2
    assert "demands these roles too: golden-template, docker-host" in text


def test_guests_say_what_they_are_and_whether_a_job_names_them() -> None:
    every = b.job(1, id="all", selection="all but 230", vmids=(), raw={"exclude": "230"})
    off = b.job(230, enabled=False)
    guests = (b.guest(220, "web"), b.guest(230, "files", kind=GuestKind.LXC))
    text, _ = drafted(jobs=(every, off), guests=guests)
    assert "# check? VM on pve1, backed up by all\n" in text
    assert "# check? container on pve1, in no enabled backup job\n" in text


def test_a_range_without_guests_is_reserved() -> None:
    _, loaded = drafted(guests=(b.guest(9000), b.guest(9150)))
    assert loaded.inventory.drill
    assert loaded.inventory.drill.vmids == "9200-9299"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bridges": {}}, "# Restore drills need a bridge without ports and addresses; there is none yet."),
        ({"storages": ()}, "# Restore drills need a storage for guests' disks; there is none yet."),
    ],
)
def test_without_ground_for_drills_the_section_is_a_comment(changes: dict[str, Any], told: str) -> None:
    text, loaded = drafted(**changes)
    assert loaded.inventory.drill is None
    assert told in text
    assert "# drill:\n#   bridge: " in text


def test_the_storage_that_jobs_write_to_is_the_policys() -> None:
    local = b.Storage("local", "dir", frozenset({"backup", "iso"}), path="/var/lib/vz")
    text, loaded = drafted(storages=(local, *found().storages))
    assert loaded.inventory.policy.storage == b.STORAGE
    assert "2 enabled jobs write to it." in text
    assert "# Backups are taken by local (/var/lib/vz) too." in text


def test_a_site_without_a_place_for_backups_says_so() -> None:
    text, loaded = drafted(storages=(DISKS,))
    assert loaded.inventory.policy.storage == "backup-hdd"
    assert "no storage of type dir takes backups on this site" in text


def test_a_site_without_guests_or_zone_is_sound_too() -> None:
    text, loaded = drafted(guests=(), zones={"pve1": "Mars/Olympus", "pve2": ""})
    assert loaded.inventory.guests == {}
    assert loaded.inventory.site.timezone == "UTC"
    assert "pve1 Mars/Olympus, pve2 not shown" in text
