"""The server certificate of recorded sites, and the line that tells how many recorded answers were compared."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import pytest

from lab import certificates
from lab.pve.server import TlsFiles
from tests.contract.differences import DIFFERENCES

COUNTED = "recorded answers"


@dataclass(frozen=True)
class Tls:
    """What a recorded site is served with, and what trusts it."""

    files: TlsFiles
    trust: ssl.SSLContext


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    certificates.make(folder / "ca.pem", folder / "api.pem", folder / "api.key")
    trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    return Tls(TlsFiles(folder / "api.pem", folder / "api.key"), trust)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = {"9.2": 0, "8.4": 0}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, value in getattr(report, "user_properties", ()):
                    if name == COUNTED:
                        counts[value[0]] += value[1]
    if total := sum(counts.values()):
        told = ", ".join(f"{release}: {count}" for release, count in counts.items())
        terminalreporter.write_line(
            f"contract: {total} recorded answers compared ({told}), {len(DIFFERENCES)} listed differences"
        )
