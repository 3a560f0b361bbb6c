"""``qm unlock`` and ``pct unlock`` on the node: what root may do to a guest's configuration and no API token may."""

from __future__ import annotations

from collections.abc import Callable

from lab.hypervisor import CommandResult
from lab.pve.call import ApiError
from lab.pve.guestlocks import clear_lock
from lab.pve.site import Kind, Site
from lab.scripted.shell import Context, Program, fail, not_scripted, ok

_WORDS = 2


def add_to(programs: dict[str, Program], site: Site) -> None:
    """Give a node ``qm``, and its ``pct`` the same command."""
    programs["qm"] = _unlocking(site, "qemu", _nothing_else("qm"))
    programs["pct"] = _unlocking(site, "lxc", programs.get("pct", _nothing_else("pct")))


def _nothing_else(name: str) -> Program:
    def program(_context: Context, arguments: list[str]) -> CommandResult:
        raise not_scripted([name, *arguments])

    return program


def _unlocking(site: Site, kind: Kind, otherwise: Callable[[Context, list[str]], CommandResult]) -> Program:
    def program(context: Context, arguments: list[str]) -> CommandResult:
        if arguments[:1] != ["unlock"] or len(arguments) != _WORDS:
            return otherwise(context, arguments)
        try:
            guest = site.guest(int(arguments[1]), kind)
        except ApiError as error:
            return fail(2, error.text)
        clear_lock(site, guest, str(guest.config.get("lock", "")))
        return ok()

    return program
