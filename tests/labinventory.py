"""The lab's inventory, turned to a lab site in memory."""

from __future__ import annotations

from pathlib import Path

from tests.labsite import LabSite

_ROOT = Path(__file__).resolve().parents[1]


def write(lab: LabSite, path: Path) -> Path:
    """``inventories/lab.yaml`` with the addresses and the folder of that site."""
    text = (_ROOT / "inventories" / "lab.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("https://127.0.0.1:18006", lab.url),
        ("127.0.0.1:12222", f"127.0.0.1:{lab.ssh.port}"),
        ("$XDG_STATE_HOME/backup-standard-lab", str(lab.folder)),
    ):
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path
