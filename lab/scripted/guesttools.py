"""What root may do on the node and no API token: ``qm unlock``, ``pct unlock``, ``pvesm`` with every volume."""

from __future__ import annotations

from collections.abc import Callable

from lab.hypervisor import CommandResult, HypervisorError
from lab.pve import archives, storages, volumes
from lab.pve.call import ApiError
from lab.pve.guestlocks import clear_lock
from lab.pve.site import Kind, Site
from lab.scripted.shell import Context, Program, fail, not_scripted, ok

_WORDS = 2
_NO = 255


def add_to(programs: dict[str, Program], site: Site) -> None:
    """Give a node ``qm`` and ``pvesm``, and its ``pct`` the command of ``qm``."""
    programs["pvesm"] = _storage_tool(site)
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


def _storage_tool(site: Site) -> Program:
    """``pvesm list STORAGE --vmid VMID`` and ``pvesm free VOLUME`` (upstream: PVE/CLI/pvesm.pm; not recorded)."""

    def program(_context: Context, arguments: list[str]) -> CommandResult:
        try:
            match arguments:
                case ["list", storage, "--vmid", vmid] if vmid.isdecimal():
                    storages.activate(site, storage)
                    return ok("".join(f"{line}\n" for line in _lines(site, storage, int(vmid))))
                case ["free", volid]:
                    storages.activate(site, volumes.storage_of(volid))
                    site.hypervisor.free(volid)
                    return ok(f"Removed volume '{volid}'\n")
        except (ApiError, HypervisorError) as error:
            return fail(_NO, getattr(error, "text", str(error)))
        raise not_scripted(["pvesm", *arguments])

    return program


def _lines(site: Site, storage: str, vmid: int) -> list[str]:
    sizes = site.hypervisor.volumes()
    own = [volid for volid in volumes.of_guest(site, vmid) if volumes.storage_of(volid) == storage]
    found = [(volid, "raw", "images", sizes[volid]) for volid in own]
    if "backup" in storages.contents(site.storage(storage)):
        found += [(one.volid, one.name.format, "backup", one.size) for one in archives.listing(site, storage, vmid)]
    return [
        "Volid Format Type Size VMID",
        *(f"{volid} {form} {kind} {size} {vmid}" for volid, form, kind, size in found),
    ]
