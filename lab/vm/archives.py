"""Archives: made and read outside, at native speed, from and into the bytes of volumes; stored on the node's disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.archive import ContainerReader, RawDisk, Totals, VmaReader, VmaWriter, compression_of, compressor, decompressor
from lab.archive import write_container as write_tar
from lab.hypervisor import AgentError, AgentSilent, ArchiveHeader, HypervisorError, Progress, Written
from lab.vm.courier import Courier
from lab.vm.guests import Guests
from lab.vm.recipes import LEAD
from lab.vm.volumes import Volumes, copy_disk

HEADER_BYTES = 1 << 20
"""How much of an archive is fetched to read its header."""
TRANSFER_SECONDS = 120.0
ROOTFS = "/usr/local/sbin/lab-rootfs"


class Archives:
    """Writes and reads archives on the node."""

    def __init__(self, courier: Courier, volumes: Volumes, guests: Guests, scratch: Path) -> None:
        self._courier, self._volumes, self._guests, self._scratch = courier, volumes, guests, scratch

    def write(
        self, path: str, header: ArchiveHeader, volids: Mapping[str, str], compress: str, progress: Progress
    ) -> Written:
        """Write a guest's disks as a VMA archive."""
        with self._still(volids) as disks, _as_hypervisor_error(path):
            with self._courier.put(TRANSFER_SECONDS, path=path) as sink, compressor(sink, compress) as out:
                totals = VmaWriter(out, header).write(disks, progress)
            return Written(sink.size, totals.sparse_bytes)

    @contextmanager
    def _still(self, volids: Mapping[str, str]) -> Iterator[dict[str, RawDisk]]:
        """Give the disks as they were at one moment: of a running guest, a copy made while its files stand still."""
        with ExitStack() as stack:
            owner = self._owner(volids)
            if owner is None:
                yield {name: stack.enter_context(self._volumes.disk(volid)) for name, volid in volids.items()}
                return
            copies = {name: self._scratch / f"snapshot-{owner}-{name}.raw" for name in volids}
            for copy in copies.values():
                stack.callback(copy.unlink, missing_ok=True)
            with self._frozen(owner):
                for name, volid in volids.items():
                    size = self._volumes.size(volid)
                    with copies[name].open("wb") as file:
                        file.truncate(LEAD + size)
                    copy_disk(self._volumes.file(volid), copies[name], size)
            disks = {
                name: stack.enter_context(RawDisk(copies[name], self._volumes.size(volid), offset=LEAD))
                for name, volid in volids.items()
            }
            yield disks

    def _owner(self, volids: Mapping[str, str]) -> int | None:
        files = {self._volumes.file(volid) for volid in volids.values()}
        for vmid in self._guests.vmids():
            if self._guests.is_running(vmid) and files & {
                disk.path for disk in self._guests.get(vmid).machine.disks.values()
            }:
                return vmid
        return None

    @contextmanager
    def _frozen(self, vmid: int) -> Iterator[None]:
        agent = self._guests.get(vmid).agent
        try:
            agent("guest-fsfreeze-freeze", {}, 20.0)
        except (AgentError, AgentSilent):
            yield  # as with the real thing: without an agent the copy is what a power cut would leave
            return
        try:
            yield
        finally:
            with contextlib.suppress(AgentError, AgentSilent):
                agent("guest-fsfreeze-thaw", {}, 20.0)

    def header(self, path: str) -> ArchiveHeader:
        """Read the header; ArchiveDamaged when it cannot be read."""
        with _as_hypervisor_error(path), self._courier.get(path=path, limit=HEADER_BYTES) as stream:
            return VmaReader(decompressor(stream, compression_of(path), path)).header

    def extract(self, path: str, volids: Mapping[str, str], progress: Progress) -> Totals:
        """Write an archive's disks into volumes of zeros; ArchiveDamaged when it is damaged."""
        with ExitStack() as stack, _as_hypervisor_error(path):
            disks = {
                name: stack.enter_context(self._volumes.disk(volid, writable=True)) for name, volid in volids.items()
            }
            stream = stack.enter_context(self._courier.get(TRANSFER_SECONDS, path=path))
            return VmaReader(decompressor(stream, compression_of(path), path)).extract(disks, progress)

    def write_container(self, path: str, volid: str, config: str, compress: str, progress: Progress) -> int:
        """Write a container's root file system as a tar archive; returns its size in bytes."""
        device = self._volumes.device(volid)
        with _as_hypervisor_error(path), self._courier.get(TRANSFER_SECONDS, argv=[ROOTFS, "pack", device]) as root:
            with self._courier.put(TRANSFER_SECONDS, path=path) as sink, compressor(sink, compress) as out:
                done = write_tar(out, config, root)
            progress(done, done)
            return sink.size

    def container_config(self, path: str) -> str:
        """Read the configuration a container archive carries."""
        with _as_hypervisor_error(path), self._courier.get(path=path, limit=HEADER_BYTES) as stream:
            return ContainerReader(decompressor(stream, compression_of(path), path)).config

    def extract_container(self, path: str, volid: str, progress: Progress) -> None:
        """Make a container's root file system on a volume and fill it from an archive."""
        device = self._format(volid)
        with _as_hypervisor_error(path), self._courier.get(TRANSFER_SECONDS, path=path) as stream:
            reader = ContainerReader(decompressor(stream, compression_of(path), path))
            with self._courier.put(TRANSFER_SECONDS, argv=[ROOTFS, "unpack", device]) as sink:
                done = reader.extract(sink)
        progress(done, done)

    def fill_container(self, volid: str, root_tar: bytes) -> None:
        """Make a container's root file system and fill it with the members of a tar."""
        device = self._format(volid)
        with self._courier.put(argv=[ROOTFS, "unpack", device]) as sink:
            sink.write(root_tar)

    def _format(self, volid: str) -> str:
        device = self._volumes.device(volid)
        made = self._courier.run([ROOTFS, "format", device])
        if made.rc:
            raise HypervisorError(f"mkfs.ext4 {device}: {made.stderr.strip()}")
        return device


@contextmanager
def _as_hypervisor_error(path: str) -> Iterator[None]:
    """Word the node's file errors as the tools that met them would."""
    try:
        yield
    except OSError as error:
        raise HypervisorError(f"{path}: {error.strerror or error}") from error
