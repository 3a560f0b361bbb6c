"""The lab's secrets and certificates in its state folder: tokens, passwords, keys, and what a client checks them by."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from pathlib import Path

from cryptography import x509

from lab import certificates
from lab.pve.seed_access import Secrets
from lab.settings import CONTAINER, GUESTS, LOOPBACK, NODE, Folders, Ports
from lab.vm.keys import Keys, host_key_of, write_secret

AUDIT_TOKEN, DRILL_TOKEN, ROOT_PASSWORD = "audit-token", "drill-token", "root-password"
KEPT_DAYS = 30
"""A certificate with less than this left is made anew."""


def lay_secrets(folders: Folders, ports: Ports, keys: Keys) -> Secrets:
    """Put all secrets and keys where clients find them; tokens and password are made once and kept between starts."""
    state = folders.state
    for name in (AUDIT_TOKEN, DRILL_TOKEN):
        _keep(state / name, _uuid())
    _keep(state / ROOT_PASSWORD, secrets.token_urlsafe(18))
    write_secret(state / "drill-password", keys.password)
    for name in ("id_ed25519", "id_ed25519.pub"):
        shutil.copy(keys.folder / name, state / name)
    (state / "known_hosts").write_text(f"[{LOOPBACK}]:{ports.ssh} {_bare(keys.host_public(NODE))}\n")
    for guest in (*GUESTS, CONTAINER):
        (state / f"guest-{guest.vmid}.hostkey.pub").write_text(f"{_bare(host_key_of(keys, guest.vmid))}\n")
    _certificates(state)
    return Secrets(*((state / name).read_text().strip() for name in (AUDIT_TOKEN, DRILL_TOKEN, ROOT_PASSWORD)))


def _keep(path: Path, fresh: str) -> None:
    if not path.exists():
        write_secret(path, fresh)


def _uuid() -> str:
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _bare(public_key: str) -> str:
    return " ".join(public_key.split()[:2])


def _certificates(state: Path) -> None:
    ca, pem, key = state / "ca.pem", state / "api.pem", state / "api.key"
    if not (ca.exists() and pem.exists() and key.exists() and _days_left(pem) > KEPT_DAYS):
        certificates.make(ca, pem, key)


def _days_left(certificate: Path) -> float:
    end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return (end - dt.datetime.now(dt.UTC)).total_seconds() / 86400
