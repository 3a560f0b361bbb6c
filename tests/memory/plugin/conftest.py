"""A folder with rules of its own, an inventory, and a site that is read from builders instead of over a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_standard.audit.site import Site
from backup_standard.evidence.folder import RunFolder
from backup_standard.inventory.loader import load
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts
from backup_standard.model.codec import facts_from_json
from backup_standard.plugin import session
from tests import judging, labinventory, labsite
from tests.rules import builders

ROOT = Path(__file__).resolve().parents[3]
LEAN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:pytest_cov")
"""Plugins that an inner run does not need."""

INVENTORY = """\
client: acme
site: {name: head-office, timezone: Europe/Berlin}
api: {url: "https://pve1.example:8006", audit_token: {id: audit@pve!suite, secret: "env:ACME_AUDIT"}}
policy: {storage: backup-hdd}
guests:
  100: {role: golden-template}
  210: {role: dns}
  305: {role: scratch, exempt: {reason: build cache, until: 2027-03-31}}
not_deployed: {docker-host: phase 2, monitoring: phase 2}
"""


class Project:
    """A project folder to run pytest in; ``facts`` is what reading the site gives (an exception is raised)."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester, self.path = pytester, pytester.path
        self.facts: Facts | Exception = builders.facts()
        pytester.makeconftest('pytest_plugins = ["backup_standard.plugin"]')
        pytester.makepyprojecttoml("[tool.pytest]\nstrict = true\naddopts = ['--import-mode=importlib']\n")
        (self.path / "inventories").mkdir()
        (self.path / "inventories" / "acme.yaml").write_text(INVENTORY)

    def read_site(self, _inventory: Inventory, progress: Callable[[str], None], _commands: Path) -> Facts:
        """Stands in for the collector."""
        progress("reading the site")
        if isinstance(self.facts, Exception):
            raise self.facts
        return self.facts

    def with_our_rules(self) -> Project:
        """Bring in the standard's own rules."""
        shutil.copytree(ROOT / "tests_infra", self.path / "tests_infra", ignore=shutil.ignore_patterns("__pycache__"))
        return self

    def with_rules(self, source: str, folder: str = "tests_infra", name: str = "test_rules.py") -> Project:
        """Write rules of the test's own."""
        (self.path / folder).mkdir(exist_ok=True)
        head = (
            "import os\nimport pytest\n"
            "from backup_standard.errors import ConnectionFailed, NotRun, Unknown\n\n"
            "def rule(id='ABC-01', level='must', tag='standard'):\n"
            "    return pytest.mark.rule(id=id, level=level, tag=tag)\n\n"
        )
        (self.path / folder / name).write_text(head + source)
        return self

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest with the inventory."""
        return self.pytester.runpytest(*LEAN, "--inventory=inventories/acme.yaml", *arguments)

    @property
    def folders(self) -> list[Path]:
        """Every run's folder."""
        return sorted((self.path / "reports").glob("*/*"))

    @property
    def last(self) -> RunFolder:
        """The only run's folder."""
        (only,) = self.folders
        return RunFolder(only)

    def rows(self) -> dict[tuple[str, str], str]:
        """Outcomes of the last run by rule and subject id, as :mod:`tests.judging` names them."""
        found = {}
        for one in self.last.verdicts():
            _, bracket, name = one.item.rpartition("[")
            found[one.rule, name.removesuffix("]") if bracket else "the site"] = str(one.outcome)
        return found

    def judged(self) -> dict[tuple[str, str], str]:
        """What each rule of the standard says of each of its subjects by what the last run has read."""
        facts = facts_from_json(self.last.facts.read_text(encoding="utf-8"))
        found = judging.outcomes(judging.judge(Site(load(self.last.inventory).inventory, facts)))
        return {key: str(outcome) for key, outcome in found.items()}

    def outcomes(self) -> dict[str, str]:
        """Outcomes of the last run by the item's own name, as ``test_x[210]``."""
        return {one.item.rsplit("::", 1)[-1]: str(one.outcome) for one in self.last.verdicts()}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project folder."""
    made = Project(pytester)
    monkeypatch.setattr(session, "read_site", made.read_site)
    return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labsite.LabSite]:
    """The lab's site."""
    with labsite.running(tmp_path_factory.mktemp("lab"), guests=False) as running:
        yield running


@pytest.fixture
def lab_project(pytester: pytest.Pytester, lab: labsite.LabSite) -> Project:
    """A project folder whose inventory points at that site."""
    made = Project(pytester).with_our_rules()
    labinventory.write(lab, made.path / "inventories" / "acme.yaml")
    return made
