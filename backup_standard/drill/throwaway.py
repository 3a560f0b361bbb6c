"""A key for one drill: made in memory, its public half put into the copy by whoever runs commands there as root.

The private half is never written anywhere; the public half is deleted with the copy. The way in (the agent, or
``pct exec``) passes the ownership guard like every write, so no other guest can be given a key.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backup_standard.drill.dialect import Run, said
from backup_standard.errors import Refused
from backup_standard.inventory.secrets import Secret

NOTE = "backup-standard drill"
"""The public key's comment, for who finds it in a copy that was kept."""

LAY = """set -eu
home=$(getent passwd "$1" 2>/dev/null | cut -d: -f6)
[ -n "$home" ] || home=$(awk -F: -v user="$1" '$1 == user { print $6 }' /etc/passwd)
[ -n "$home" ] || { echo "there is no account $1" >&2; exit 1; }
[ -d "$home" ] || { echo "the home of $1, $home, is not there" >&2; exit 1; }
umask 077
mkdir -p "$home/.ssh"
printf '\\n%s\\n' "$2" >> "$home/.ssh/authorized_keys"
chown -- "$1" "$home/.ssh" "$home/.ssh/authorized_keys"
if command -v restorecon >/dev/null 2>&1; then restorecon -R "$home/.ssh"; fi
"""
"""For ``sh``, with the account and the public key as its arguments."""


def private_key() -> tuple[Secret, str]:
    """A fresh key pair: the private half as OpenSSH writes it, and the line of its public half."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Secret(private.decode()), f"{public.decode()} {NOTE}"


def give(run: Run, user: str) -> Secret:
    """Let an account of the copy in with a fresh key, and return its private half; Refused when the copy took none."""
    private, public = private_key()
    ran = run(("sh", "-c", LAY, "sh", user, public))
    if ran.rc != 0:
        raise Refused(f"no throw-away key could be put into the copy for {user}: {said(ran)}")
    return private
