"""What a scripted guest is, written on its disk: whoever has the bytes of the disk has the guest.

A backup carries it, a restore brings it back, a damaged or empty disk does not boot.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from lab.archive import Disk

MAGIC = b"\xebLABGUEST\0"
LENGTH = 4
SECTOR = 512
BASE_SERVICES = ("ssh.service", "qemu-guest-agent.service")
BOOT_SIGNATURE = b"\x55\xaa"


@dataclass
class Account:
    """An account of a guest: user id, public keys that may log in, salt and hash of its password ("" for none)."""

    uid: int = 1000
    keys: Sequence[str] = ()
    password: str = ""

    def accepts_password(self, password: str) -> bool:
        """Tell whether a password is the account's."""
        salt, _dollar, digest = self.password.partition("$")
        return bool(digest) and secrets.compare_digest(_hash(password, salt), digest)


def hashed(password: str) -> str:
    """Return salt and hash of a password, as :class:`Account` keeps it."""
    salt = secrets.token_hex(8)
    return f"{salt}${_hash(password, salt)}"


def _hash(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=16, r=1, p=1).hex()


def new_host_key() -> str:
    """Return a new SSH host key as a PEM text."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


@dataclass
class GuestImage:
    """A guest as its disk describes it.

    ``addresses``: for each card its addresses with prefix length. ``services``: unit → state. ``ports``: TCP port →
    "http:BODY" (200 on every path), "dns" or "ssh". ``records``: names the DNS service answers. ``containers``: Docker
    container → status. ``commands``: whole command line → [rc, stdout, stderr].
    """

    hostname: str
    addresses: list[list[str]] = field(default_factory=list)
    gateway: str = ""
    services: dict[str, str] = field(default_factory=lambda: dict.fromkeys(BASE_SERVICES, "active"))
    ports: dict[str, str] = field(default_factory=lambda: {"22": "ssh"})
    records: dict[str, str] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    commands: dict[str, list[str | int]] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    host_key: str = ""

    def public_key(self) -> str:
        """Return the public half of the host key, "ssh-ed25519 AAAA…"."""
        private = load_ssh_private_key(self.host_key.encode(), None)
        return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

    def write(self, disk: Disk) -> None:
        """Write the image over a disk: a boot sector, then the description."""
        text = json.dumps(asdict(self)).encode()
        disk.write_at(0, MAGIC.ljust(SECTOR - len(BOOT_SIGNATURE), b"\0") + BOOT_SIGNATURE)
        disk.write_at(SECTOR, len(text).to_bytes(LENGTH) + hashlib.sha256(text).digest() + text)

    @classmethod
    def read(cls, disk: Disk) -> GuestImage | None:
        """Read the image of a disk; None when the disk would not boot."""
        head = disk.read_at(0, SECTOR)
        if not head.startswith(MAGIC) or not head.endswith(BOOT_SIGNATURE):
            return None
        length = int.from_bytes(disk.read_at(SECTOR, LENGTH))
        rest = disk.read_at(SECTOR + LENGTH, 32 + length)
        text = rest[32:]
        return cls.parse(text) if hashlib.sha256(text).digest() == rest[:32] else None

    @classmethod
    def parse(cls, text: bytes) -> GuestImage:
        """Make an image of its description."""
        facts: Mapping[str, object] = json.loads(text)
        image = cls(**facts)  # type: ignore[arg-type]
        image.accounts = {name: Account(**known) for name, known in image.accounts.items()}  # type: ignore[arg-type]
        return image
