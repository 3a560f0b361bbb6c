"""The sudoers file that lets an account on a node run the audit's commands as root, and nothing else.

Commands without arguments of their own are written out, all others as extended regular expressions over the whole
argument list, so that no option and no further file can be slipped in; sudo knows these since 1.9.10 (Proxmox VE 8).
NOEXEC keeps what is run, a pager for instance, from starting anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from backup_standard.collect.node_commands import NodeCommand, exactly, table

ACCOUNT = "backup-audit"
"""The account's name where nobody chose another."""
ALIAS = "BACKUP_AUDIT"
_SBIN = frozenset({"losetup", "lvs", "pvs", "smartctl", "zfs", "zpool"})
_SPECIAL = re.compile(r"[\\,:=#]")
_GLOB = re.compile(r"[*?\[\]!^]")


def sudoers(account: str = ACCOUNT) -> str:
    """The file's text for that account. ValueError when the name is none that an account may have."""
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", account):
        raise ValueError(f"{account!r} is no name of an account")
    lines = ", \\\n".join(f"    {line}" for line in dict.fromkeys(map(entry, table().values())))
    return (
        f"# /etc/sudoers.d/{account}: what the audit reads on this node; all of it only reads.\n"
        f"Cmnd_Alias {ALIAS} = \\\n{lines}\n"
        f"Defaults:{account} !requiretty\n"
        f"{account} ALL = (root) NOPASSWD: NOEXEC: {ALIAS}\n"
    )


def entry(command: NodeCommand) -> str:
    """One command as sudoers has it."""
    program, _, arguments = command.partition(" ")
    path = f"/usr/{'sbin' if program in _SBIN else 'bin'}/{program}"
    if not command.shapes:
        return f"{path} {_GLOB.sub(_escaped, _SPECIAL.sub(_escaped, arguments))}"
    return f"{path} {_SPECIAL.sub(_escaped, pattern(command))}"


def pattern(command: NodeCommand) -> str:
    """The extended regular expression that a command's argument list has to match."""
    return f"^{''.join(_parts(command))}$"


def _parts(command: NodeCommand) -> Iterator[str]:
    texts = command.partition(" ")[2].split("%s")
    for number, (text, shape) in enumerate(zip(texts, command.shapes, strict=False), start=1):
        if command.several and number == len(command.shapes):
            yield f"{exactly(text.removesuffix(' '))}( ({shape}))+"
        else:
            yield f"{exactly(text)}({shape})"
    yield exactly(texts[-1])


def _escaped(sign: re.Match[str]) -> str:
    return f"\\{sign[0]}"


def commands(account: str = ACCOUNT) -> tuple[str, ...]:
    """The commands that make the account on a node; the public key is the auditor's own."""
    home = f"/home/{account}"
    return (
        f"useradd --create-home --home-dir {home} --shell /bin/sh --password '*' {account}",
        f"install -d -m 700 -o {account} -g {account} {home}/.ssh",
        f"echo 'restrict ssh-ed25519 AAAA… auditor' > {home}/.ssh/authorized_keys",
        f"chown {account}: {home}/.ssh/authorized_keys",
        f"visudo -c -f {account}.sudoers && install -m 440 {account}.sudoers /etc/sudoers.d/{account}",
    )
