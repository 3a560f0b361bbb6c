"""Routes of storages: the configured list, single entries, and what they look like on the node.

Upstream: PVE/API2/Storage/Config.pm and Status.pm. The lists leave out what the caller may not see, without a word.
"""

from __future__ import annotations

from typing import Any

from lab.pve import retention, sections, storages
from lab.pve.call import ApiError, Call, die, param_error
from lab.pve.site import Site

_INTEGERS = {"disable", "shared", "max-protected-backups", "saferemove", "create-subdirs", "create-base-path", "mkdir"}


def _entry(site: Site, storage: str) -> dict[str, object]:
    section = site.storage(storage)
    typed = {key: int(str(value)) if key in _INTEGERS else value for key, value in section.items() if key != "maxfiles"}
    if kept := retention.setting(section, site.major):
        typed["prune-backups"] = kept
    return {**typed, "storage": storage, "digest": sections.digest(site.storages)}


def _visible(call: Call, storage: str) -> bool:
    return call.check(f"/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace", any=True, noerr=True)


def _persist(site: Site) -> None:
    """Write storage.cfg on the node, where an administrator looks for it."""
    site.hypervisor.node.write("/etc/pve/storage.cfg", sections.render_sections(site.storages).encode())


def config_list(call: Call) -> object:
    """GET /storage: entries the caller may audit or allocate space on."""
    wanted = call.params.get("type")
    with call.site.lock:
        names = [name for name, section in call.site.storages.items() if wanted in {None, section["type"]}]
        return [_entry(call.site, name) for name in names if _visible(call, name)]


def config_one(call: Call) -> object:
    """GET /storage/{storage}."""
    return _entry(call.site, call.params["storage"])


def create(call: Call) -> object:
    """POST /storage: the storage is activated at once, so a missing mount refuses it."""
    site, storage = call.site, str(call.params["storage"])
    section = {key: value for key, value in call.params.items() if key != "storage"}
    with site.lock:
        if storage in site.storages:
            die(f"create storage failed: storage ID '{storage}' already defined")
        site.storages[storage] = section
        try:
            if not storages.is_disabled(section):
                storages.activate(site, storage)
        except ApiError as error:
            del site.storages[storage]
            die(f"create storage failed: {error.text}")
        _persist(site)
    return {"storage": storage, "type": section["type"]}


def update(call: Call) -> object:
    """PUT /storage/{storage}."""
    site, storage = call.site, str(call.params["storage"])
    with site.lock:
        section = site.storage(storage)
        given = call.params.get("digest")
        if given and given != sections.digest(site.storages):
            die("detected modified configuration - file changed by other user? Try again.")
        for key in filter(None, str(call.params.get("delete", "")).replace(",", " ").split()):
            section.pop(key, None)
        section.update({key: value for key, value in call.params.items() if key not in {"storage", "delete", "digest"}})
        _persist(site)
        return {"storage": storage, "type": section["type"]}


def delete(call: Call) -> object:
    """DELETE /storage/{storage}."""
    site, storage = call.site, str(call.params["storage"])
    with site.lock:
        site.storage(storage)
        del site.storages[storage]
        _persist(site)
    return None


def _status(site: Site, storage: str) -> dict[str, Any]:
    section = site.storage(storage)
    space = storages.space(site, storage)
    return {
        "type": section["type"],
        "content": ",".join(storages.contents(section)),
        "shared": int(str(section.get("shared", 0))),
        "enabled": int(not storages.is_disabled(section)),
        "active": space.active,
        "total": space.total,
        "used": space.used,
        "avail": space.avail,
    }


def node_list(call: Call) -> object:
    """GET /nodes/{node}/storage: with space; inactive and disabled ones have none."""
    site, params = call.site, call.params
    wanted = {kind for kind in str(params.get("content", "")).replace(";", ",").split(",") if kind}
    found = []
    for name in list(site.storages):
        section = site.storages[name]
        if not _visible(call, name) or not storages.is_here(site, name) or params.get("storage", name) != name:
            continue
        if (params.get("enabled") and storages.is_disabled(section)) or (
            wanted and not wanted & set(storages.contents(section))
        ):
            continue
        status = _status(site, name)
        if status["total"]:
            status["used_fraction"] = status["used"] / status["total"]
        found.append({"storage": name, **status})
    return found


def node_status(call: Call) -> object:
    """GET /nodes/{node}/storage/{storage}/status: 400, not 500, for an unknown storage."""
    storage = call.params["storage"]
    if storage not in call.site.storages or not storages.is_here(call.site, storage):
        param_error("storage", "No such storage.")
    return _status(call.site, storage)
