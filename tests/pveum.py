"""The commands of ``pveum`` that make tokens, carried out on the lab's own access list: those that are printed."""

from __future__ import annotations

import argparse
import shlex

from lab.pve.access import Access


def carry_out(access: Access, text: str, secret: str) -> None:
    """Run each line; comments and empty lines are none. Tokens get that secret. ValueError for what is not known."""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            _run(access, words, secret)


def _run(access: Access, words: list[str], secret: str) -> None:
    match words:
        case ["pveum", "role", "add", role, "--privs", privs]:
            access.add_role(role, set(privs.split(",")))
        case ["pveum", "user", "add", user]:
            access.add_user(user)
        case ["pveum", "user", "token", "add", user, name]:
            access.add_token(user, name, secret, privsep=1)
        case ["pveum", "pool", "add", _]:
            pass
        case ["pveum", "acl", "modify", path, *options]:
            _grant(access, path, options)
        case _:
            raise ValueError(shlex.join(words))


def _grant(access: Access, path: str, options: list[str]) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    for option in ("--users", "--tokens", "--roles"):
        parser.add_argument(option, required=True)
    given = parser.parse_args(options)
    if given.roles not in access.roles:
        raise ValueError(f"no role {given.roles}")
    if not access.knows_path(path):
        raise ValueError(f"invalid ACL path '{path}'")
    for who in (given.users, given.tokens):
        access.grant(path, who, given.roles)


def forget(access: Access, user: str, *roles: str) -> None:
    """Take a user with its tokens and rights away, and roles."""
    access.users.pop(user, None)
    access.acl = [entry for entry in access.acl if entry.ugid.partition("!")[0] != user]
    for role in roles:
        access.roles.pop(role, None)
