"""Keys that built images carry: the client key, SSH host keys, a password. Made once, kept with the images."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from lab.settings import CONTAINER, GUESTS, NODE, built_guest
from lab.vm.hostpackages import program

PASSWORD_ROUNDS = 5
"""Cheap to check on an emulated processor; the account exists in the lab alone."""


@dataclass(frozen=True)
class Keys:
    """The folder that holds the keys, and what they are called in it."""

    folder: Path

    @property
    def client(self) -> Path:
        """Private key of the lab's user: opens the node's root and the guests' drill account."""
        return self.folder / "id_ed25519"

    @property
    def password(self) -> str:
        """The drill account's password in every guest."""
        return (self.folder / "drill-password").read_text().strip()

    @property
    def password_hash(self) -> str:
        """The password as /etc/shadow carries it."""
        return (self.folder / "drill-password.hash").read_text().strip()

    @property
    def client_public(self) -> str:
        """The public half of the client key, one line."""
        return self.client.with_suffix(".pub").read_text().strip()

    def host_key(self, name: str) -> Path:
        """Private SSH host key of a machine, by its name."""
        return self.folder / f"host-{name}"

    def host_public(self, name: str) -> str:
        """Public SSH host key of a machine ("ssh-ed25519 AAAA… comment")."""
        return self.host_key(name).with_suffix(".pub").read_text().strip()

    def fingerprint(self) -> str:
        """Everything an image carries of these keys, for its content key."""
        names = [NODE, *(guest.name for guest in (*GUESTS, CONTAINER))]
        return "\n".join([self.client_public, self.password_hash, *map(self.host_public, names)])


def make_keys(folder: Path) -> Keys:
    """Return the keys in ``folder``; what is missing is made."""
    keys = Keys(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = (NODE, *(guest.name for guest in (*GUESTS, CONTAINER)))
    for path in (keys.client, *map(keys.host_key, names)):
        if not path.with_suffix(".pub").exists():
            _make_key(path)
    if not (folder / "drill-password.hash").exists():
        password = secrets.token_urlsafe(18)
        write_secret(folder / "drill-password", password)
        write_secret(
            folder / "drill-password.hash", bcrypt.hashpw(password.encode(), bcrypt.gensalt(PASSWORD_ROUNDS)).decode()
        )
    return keys


def host_key_of(keys: Keys, vmid: int) -> str:
    """Return the public host key of a built guest."""
    return keys.host_public(built_guest(vmid).name)


def write_secret(path: Path, text: str) -> None:
    """Write one line that only its owner may read."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")
    fresh.replace(path)


def _make_key(path: Path) -> None:
    path.unlink(missing_ok=True)
    line = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", f"lab-{path.name}", "-f", str(path)]
    subprocess.run(line, check=True, stdin=subprocess.DEVNULL)
