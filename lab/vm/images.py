"""The images of the lab: the node's system disk and one disk for each guest, built two at a time, cached by content."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from lab.settings import GUESTS, BuiltGuest, Folders
from lab.vm import initrd, treebuild
from lab.vm.bootstrap import LEAN, as_root, bootstrap, privilege_mode
from lab.vm.cache import Cache, digest, digest_of_files
from lab.vm.errors import LabError
from lab.vm.firstboot import first_boot
from lab.vm.keys import Keys
from lab.vm.processes import Spawner
from lab.vm.progress import Progress
from lab.vm.recipes import GUEST_PACKAGES, NODE_PACKAGES, guest_spec, node_spec
from lab.vm.suite import own_suite
from lab.vm.treebuild import TreeSpec

PROJECT = Path(__file__).parents[2]
TREE_SECONDS = 600.0


@dataclass(frozen=True)
class Images:
    """Built images: the node's kernel, initrd and disk, and each guest's disk file (behind room for an LVM header)."""

    kernel: Path
    initrd: Path
    node: Path
    guests: dict[int, Path]

    def key(self) -> str:
        """Return a hash that names this set."""
        return digest([path.name for path in (self.kernel, self.initrd, self.node, *self.guests.values())])


class Builder:
    """Builds what the cache does not hold."""

    def __init__(self, folders: Folders, keys: Keys, spawner: Spawner, progress: Progress) -> None:
        self._cache = Cache(folders.cache / "images", progress)
        self._folders, self._keys, self._spawner = folders, keys, spawner
        self._suite = own_suite()

    def build(self) -> Images:
        """Return all images; LabError says what could not be built."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="build") as pool:
            node = pool.submit(self._node)
            base = pool.submit(self._base_if_needed)
            base.result()
            guests = {guest.vmid: pool.submit(self._guest, guest) for guest in _heaviest_first(GUESTS)}
            kernel, early, disk = node.result()
            return Images(kernel, early, disk, {vmid: future.result() for vmid, future in sorted(guests.items())})

    def _archive(self, name: str, packages: Sequence[str], base: Path | None = None) -> Path:
        key = digest(self._suite.label, packages, LEAN, base.name if base else "")

        def make(part: Path) -> None:
            bootstrap(self._spawner, self._suite, packages, part, self._folders.logs / f"build-{name}.log", base=base)

        return self._cache.get(name, key, ".tar", make)

    def _base(self) -> Path:
        return self._archive("guest", (*GUEST_PACKAGES, self._suite.kernel))

    def _base_if_needed(self) -> None:
        if any(not self._guest_path(guest).exists() for guest in GUESTS):
            self._base()

    def _node(self) -> tuple[Path, Path, Path]:
        packages = (*NODE_PACKAGES, self._suite.kernel)
        spec = node_spec(Path("node.tar"), Path("node.raw"), self._keys, Path("boot"))
        key = self._key(spec, packages)
        kernel, early = (self._cache.path(name, key, "") for name in ("kernel", "initrd"))

        def make(part: Path) -> None:
            boot = self._cache.folder / "boot"
            boot.mkdir(exist_ok=True)
            made = node_spec(self._archive("node", packages), part, self._keys, boot)
            self._tree(made)
            shutil.move(boot / "vmlinuz", kernel)
            shutil.move(boot / "initrd", early)

        return kernel, early, self._cache.get("node", key, ".raw", make)

    def _guest_path(self, guest: BuiltGuest) -> Path:
        return self._cache.path(f"guest-{guest.role}", self._guest_key(guest), ".pv")

    def _guest_key(self, guest: BuiltGuest) -> str:
        spec = guest_spec(guest, Path("guest.tar"), Path("guest.pv"), self._keys)
        return self._key(spec, (*GUEST_PACKAGES, self._suite.kernel, *self._suite.packages(guest.packages)))

    def _guest(self, guest: BuiltGuest) -> Path:
        def make(part: Path) -> None:
            archive = self._base()
            if guest.packages:
                archive = self._archive(f"guest-{guest.role}", self._suite.packages(guest.packages), archive)
            self._tree(guest_spec(guest, archive, part, self._keys))
            if guest.role == "docker":
                first_boot(self._spawner, guest, part, self._folders.logs)

        return self._cache.get(f"guest-{guest.role}", self._guest_key(guest), ".pv", make)

    def _key(self, spec: TreeSpec, packages: Sequence[str]) -> str:
        code = digest_of_files([treebuild.__file__, initrd.__file__])
        return digest(
            self._suite.label, packages, LEAN, replace(spec, overlays=()).dump(), digest_of_files(spec.overlays), code
        )

    def _tree(self, spec: TreeSpec) -> None:
        out = Path(spec.out)
        paper, log = out.with_suffix(".spec"), self._folders.logs / f"build-{out.name}.log"
        log.unlink(missing_ok=True)
        descriptor = os.open(paper, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(spec.dump())
        try:
            line = [*as_root(privilege_mode()), sys.executable, "-m", "lab.vm.treebuild", str(paper)]
            environment = {"PYTHONPATH": str(PROJECT)}
            if self._spawner.run(f"build-{out.name}", line, log, timeout=TREE_SECONDS, environment=environment):
                tail = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise LabError(f"the disk {out.name} could not be made: {' '.join(tail)}. The whole output is in {log}")
        finally:
            paper.unlink()


def _heaviest_first(guests: Sequence[BuiltGuest]) -> list[BuiltGuest]:
    return sorted(guests, key=lambda guest: -guest.disk_mib)
