"""Volumes and archives in memory: real bytes, real refusals."""

from collections.abc import Sequence

import pytest

from lab.archive import ArchiveDamaged
from lab.hypervisor import ArchiveDisk, ArchiveHeader, HypervisorError
from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode

PATH = "/mnt/backup/dump/vzdump-qemu-210-2026_11_24-02_00_01.vma.zst"
DISK = "vmdata:vm-210-disk-0"
COPY = "vmdata:vm-9000-disk-0"
UUID = "38ed145d-9f44-4f80-a201-eebdd93af470"


def silent(_done: int, _all: int) -> None:
    """Nobody watches."""


def write(hypervisor: MemoryHypervisor, path: str = PATH, compress: str = "zstd") -> int:
    header = ArchiveHeader(UUID, 1_795_471_060, "name: dns\n", "[OPTIONS]\n", [ArchiveDisk("drive-virtio0", 1 << 30)])
    return hypervisor.write_archive(path, header, {"drive-virtio0": DISK}, compress, silent).size


def restore(hypervisor: MemoryHypervisor, path: str = PATH) -> None:
    hypervisor.allocate(COPY, 1 << 30)
    hypervisor.extract_archive(path, {"drive-virtio0": COPY}, silent)


@pytest.mark.parametrize(("suffix", "compress"), [(".zst", "zstd"), (".gz", "gzip"), ("", "0")])
def test_what_was_backed_up_is_restored(hypervisor: MemoryHypervisor, suffix: str, compress: str) -> None:
    path = PATH.removesuffix(".zst") + suffix
    size = write(hypervisor, path, compress)
    restore(hypervisor, path)

    assert hypervisor.disks[COPY].pages == hypervisor.disks[DISK].pages
    assert size == len(hypervisor.node.read(path))
    header = hypervisor.read_archive_header(path)
    assert (header.uuid, header.config, header.firewall) == (UUID, "name: dns\n", "[OPTIONS]\n")


def test_progress_ends_at_the_whole(hypervisor: MemoryHypervisor) -> None:
    write(hypervisor)
    hypervisor.allocate(COPY, 1 << 30)
    seen: list[Sequence[int]] = []
    hypervisor.extract_archive(PATH, {"drive-virtio0": COPY}, lambda *step: seen.append(step))

    assert seen[-1] == (1 << 30, 1 << 30)
    assert len(seen) > 200


def test_a_cut_archive_has_a_header_but_no_whole_disk(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    write(hypervisor)
    node.write(PATH, node.read(PATH)[:-40])

    with pytest.raises(ArchiveDamaged) as damage:
        restore(hypervisor)
    assert not damage.value.in_header
    assert damage.value.decoder.startswith(f"{PATH} : Read error")


def test_a_garbled_archive_has_no_header(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    node.write(PATH, b"no archive at all")

    with pytest.raises(ArchiveDamaged) as damage:
        hypervisor.read_archive_header(PATH)
    assert damage.value.in_header


def test_an_archive_that_is_not_there(hypervisor: MemoryHypervisor) -> None:
    with pytest.raises(HypervisorError, match="No such file or directory"):
        hypervisor.read_archive_header(PATH)


def test_a_full_backup_disk_keeps_the_partial_file(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    node.backup_disk.size = 10_000

    with pytest.raises(HypervisorError, match="No space left on device"):
        write(hypervisor)
    assert len(node.read(PATH)) < 10_000
    node.unlink(PATH)


@pytest.mark.parametrize(("fault", "text"), [("readonly", "Read-only file system"), ("broken", "Input/output error")])
def test_a_sick_backup_disk_takes_nothing(
    hypervisor: MemoryHypervisor, node: MemoryNode, fault: str, text: str
) -> None:
    setattr(node.backup_disk, fault, True)

    with pytest.raises(HypervisorError, match=text):
        write(hypervisor)


def test_a_target_that_is_too_small_is_refused(hypervisor: MemoryHypervisor) -> None:
    write(hypervisor)
    hypervisor.allocate(COPY, 1 << 20)

    with pytest.raises(HypervisorError, match="too small"):
        hypervisor.extract_archive(PATH, {"drive-virtio0": COPY}, silent)


def test_a_container_goes_both_ways(hypervisor: MemoryHypervisor) -> None:
    path, copy = "/mnt/backup/dump/vzdump-lxc-230-2026_11_24-02_00_01.tar.zst", "vmdata:vm-231-disk-0"
    hypervisor.write_container_archive(path, "vmdata:vm-230-disk-0", "hostname: files\n", "zstd", silent)
    hypervisor.allocate(copy, 256 << 20)
    hypervisor.extract_container_archive(path, copy, silent)
    hypervisor.start(231, {"net0": "name=eth0,bridge=vmbr9,hwaddr=BC:24:11:00:02:31"}, {"rootfs": copy})

    assert hypervisor.read_container_config(path) == "hostname: files\n"
    assert hypervisor.container_exec(231, ["cat", "/srv/data/readme.txt"]).stdout == "client data of the lab\n"


def test_volumes_have_names_sizes_and_paths(hypervisor: MemoryHypervisor) -> None:
    assert hypervisor.volumes()[DISK] == 1 << 30
    assert hypervisor.path(DISK) == "/dev/vmdata/vm-210-disk-0"
    assert hypervisor.path("local:200/vm-200-disk-0.raw") == "/var/lib/vz/images/200/vm-200-disk-0.raw"


def test_a_copy_is_independent(hypervisor: MemoryHypervisor) -> None:
    hypervisor.allocate(COPY, 1 << 30, like=DISK)
    hypervisor.disks[COPY].write_at(0, b"changed")

    assert hypervisor.disks[DISK].read_at(0, 7) != b"changed"


def test_no_room_no_volume(hypervisor: MemoryHypervisor) -> None:
    with pytest.raises(HypervisorError, match=r'"vmdata" has insufficient free space \(\d+ extents\): 25600'):
        hypervisor.allocate(COPY, 100 << 30)
    assert COPY not in hypervisor.volumes()


def test_refusals_of_volumes(hypervisor: MemoryHypervisor) -> None:
    with pytest.raises(HypervisorError, match="in use"):
        hypervisor.free(DISK)
    with pytest.raises(HypervisorError, match="no such logical volume vmdata/vm-9000-disk-0"):
        hypervisor.free(COPY)
    with pytest.raises(HypervisorError, match="already exists"):
        hypervisor.allocate(DISK, 1)
    with pytest.raises(HypervisorError, match="already exists"):
        hypervisor.rename(DISK, "vmdata:vm-220-disk-0")


def test_a_renamed_volume_keeps_its_bytes(hypervisor: MemoryHypervisor) -> None:
    hypervisor.allocate(COPY, 1 << 20, like=DISK)
    hypervisor.rename(COPY, "vmdata:base-9000-disk-0")

    assert COPY not in hypervisor.volumes()
    assert hypervisor.disks["vmdata:base-9000-disk-0"].pages == hypervisor.disks[DISK].pages
