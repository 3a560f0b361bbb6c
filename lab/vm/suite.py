"""Which release the images are built from: this machine's own, by its own apt configuration."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.vm.errors import LabError

DEBIAN_KERNEL = "linux-image-cloud-amd64"
UBUNTU_KERNEL = "linux-image-virtual"


@dataclass(frozen=True)
class Suite:
    """A release: its distribution ("debian" or "ubuntu"), code name, and the name of its small kernel package."""

    distribution: str
    codename: str
    kernel: str

    @property
    def label(self) -> str:
        """The release as file names carry it."""
        return f"{self.distribution}-{self.codename}"

    def packages(self, names: Sequence[str]) -> tuple[str, ...]:
        """The packages as this release has them: since Debian 13 docker.io only recommends that of its command."""
        apart = self.distribution == "debian" and self.codename != "bookworm"
        return (*names, *(["docker-cli"] if apart and "docker.io" in names else []))


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release file, quotes taken off."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key: value.strip().strip("\"'") for key, value in pairs}


def suite_of(facts: dict[str, str]) -> Suite:
    """Return the release that os-release facts name; LabError for a system the images cannot be built on."""
    family = {facts.get("ID", ""), *facts.get("ID_LIKE", "").split()}
    codename = facts.get("VERSION_CODENAME", "")
    if facts.get("ID") == "ubuntu" or "ubuntu" in family:
        return Suite("ubuntu", facts.get("UBUNTU_CODENAME", codename), UBUNTU_KERNEL)
    if "debian" in family and codename:
        return Suite("debian", codename, DEBIAN_KERNEL)
    raise LabError(
        f"the lab builds its images from this machine's own packages and knows Debian and Ubuntu; /etc/os-release "
        f"says {facts.get('PRETTY_NAME', facts.get('ID', 'nothing'))!r}. Use Debian 12 or later, or Ubuntu 24.04"
    )


def own_suite() -> Suite:
    """Return this machine's release; LabError when the lab cannot be built here."""
    if platform.machine() != "x86_64":
        raise LabError(
            f"the lab's guests are x86-64 machines and this one is {platform.machine()}: use an x86-64 machine"
        )
    return suite_of(parse_os_release(Path("/etc/os-release").read_text()))
