"""What the lab's machines are started with: from a configuration to QEMU's arguments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.hypervisor import CommandResult, HypervisorError
from lab.settings import built_guest
from lab.vm.guest_qemu import DiskFile, GuestMachine, boot_order, command_line, nics, properties
from lab.vm.node_qemu import CARDS, LANES, NodeFiles
from lab.vm.node_qemu import command_line as node_command_line
from lab.vm.volumes import Volumes, copy_disk, round_up, split

MIB = 1 << 20
CONFIG = {
    "name": "dns",
    "memory": "256",
    "cores": "1",
    "vga": "std",
    "serial0": "socket",
    "boot": "order=virtio0",
    "net0": "virtio=BC:24:11:00:02:10,bridge=vmbr0",
    "virtio0": "vmdata:vm-210-disk-0,size=1G",
    "smbios1": "uuid=11111111-2222-3333-4444-555555555555",
}


def machine(config: Mapping[str, str] = CONFIG, disks: Sequence[str] = ("virtio0",), **more: Any) -> GuestMachine:
    files = {key: DiskFile(Path(f"/run/{key}.raw"), 1024 * MIB) for key in disks}
    cards = {nic.key: Path(f"/run/{nic.key}.sock") for nic in nics(config)}
    return GuestMachine(210, config, files, cards, Path("/run"), more.pop("accelerator", "tcg"), **more)


def words(line: list[str], option: str) -> list[str]:
    return [line[at + 1] for at, word in enumerate(line) if word == option]


def test_a_guest_boots_the_bytes_behind_the_lvm_header() -> None:
    line = command_line(machine())
    (block,) = words(line, "-blockdev")
    assert f"offset={MIB},size={1024 * MIB}" in block
    assert "file.locking=off" in block
    assert block.endswith("file.filename=/run/virtio0.raw")
    assert "virtio-blk-pci,drive=virtio0,id=virtio0,share-rw=on,bootindex=1" in words(line, "-device")


def test_memory_identity_and_console_come_from_the_configuration() -> None:
    line = command_line(machine())
    assert words(line, "-m") == ["256"]
    assert words(line, "-uuid") == ["11111111-2222-3333-4444-555555555555"]
    assert words(line, "-vnc") == ["unix:/run/210.vnc,password=on"]
    assert any("path=/run/210.serial0" in word for word in words(line, "-chardev"))


def test_a_nic_is_the_guest_end_of_a_card() -> None:
    line = command_line(machine())
    assert words(line, "-netdev") == ["stream,id=net0,server=off,addr.type=unix,addr.path=/run/net0.sock"]
    assert any(
        word.startswith("virtio-net-pci,netdev=net0") and "mac=BC:24:11:00:02:10" in word
        for word in words(line, "-device")
    )


def test_emulation_and_kvm_have_their_own_processor() -> None:
    assert words(command_line(machine()), "-accel") == ["tcg,thread=multi,tb-size=128"]
    line = command_line(machine(accelerator="kvm"))
    assert (words(line, "-accel"), words(line, "-cpu")) == (["kvm"], ["host"])


def test_a_saved_state_is_loaded_and_waits() -> None:
    line = command_line(machine(state=Path("/cache/a b/guest.state")))
    assert "-S" in line
    assert words(line, "-incoming") == ["exec:cat '/cache/a b/guest.state'"]


def test_disks_on_other_buses_get_their_controller_once() -> None:
    line = command_line(
        machine({**CONFIG, "scsihw": "virtio-scsi-pci", "boot": "order=scsi1"}, ("scsi0", "scsi1", "sata0"))
    )
    devices = words(line, "-device")
    assert devices.count("virtio-scsi-pci,id=scsihw") == 1
    assert "scsi-hd,bus=scsihw.0,scsi-id=1,drive=scsi1,id=scsi1,share-rw=on,bootindex=1" in devices
    assert "ahci,id=ahci" in devices


def test_uefi_is_refused_with_a_reason() -> None:
    with pytest.raises(HypervisorError, match="SeaBIOS"):
        command_line(machine({**CONFIG, "bios": "ovmf"}))


def test_nics_are_read_with_model_bridge_and_link() -> None:
    found = nics(
        {"net1": "e1000=AA:BB:CC:00:00:01,bridge=vmbr9,link_down=1", "net0": "virtio=AA:BB:CC:00:00:00,bridge=vmbr0"}
    )
    assert [(nic.key, nic.model, nic.bridge, nic.link_down) for nic in found] == [
        ("net0", "virtio", "vmbr0", False),
        ("net1", "e1000", "vmbr9", True),
    ]


def test_boot_order_falls_back_to_the_first_disk() -> None:
    disks = {"virtio1": None, "virtio0": None}
    assert boot_order({}, disks) == ["virtio0"]
    assert boot_order({"boot": "order=net0;virtio1"}, disks) == ["net0", "virtio1"]


def test_property_strings() -> None:
    assert properties("vmdata:vm-1-disk-0,size=1G", "file") == {"file": "vmdata:vm-1-disk-0", "size": "1G"}


def test_the_node_has_all_cards_lanes_and_volumes() -> None:
    volumes = tuple(Path(f"/v/{number}") for number in range(3))
    files = NodeFiles(Path("/k"), Path("/i"), Path("/s"), Path("/b"), volumes, Path("/run"))
    line = node_command_line(files, "tcg", 12222, Path("/saved/node.state"))
    assert sum(word.startswith("stream,id=card") for word in words(line, "-netdev")) == CARDS
    assert sum("virtserialport" in word for word in words(line, "-device")) == LANES + 1
    assert sum(word.startswith("scsi-hd") for word in words(line, "-device")) == 3
    assert any("hostfwd=tcp:127.0.0.1:12222-" in word for word in words(line, "-netdev"))
    assert any("serial=BACKUP0" in word and "id=backup" in word for word in words(line, "-device"))
    assert line[-1] == "exec:cat /saved/node.state"


def test_volume_names_and_sizes() -> None:
    assert split("vmdata:vm-101-disk-0") == "vm-101-disk-0"
    with pytest.raises(HypervisorError, match="not on storage 'vmdata'"):
        split("local:101/vm-101-disk-0.raw")
    assert round_up(1) == 4 * MIB
    assert round_up(8 * MIB) == 8 * MIB


def test_a_copied_disk_keeps_its_bytes_and_its_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    for path in (source, target):
        with path.open("wb") as file:
            file.truncate(9 * MIB)
    with source.open("r+b") as file:
        file.seek(3 * MIB + 17)
        file.write(b"data")
    copy_disk(source, target, 8 * MIB)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 < 3 * MIB


class ScriptedNode:
    def __init__(self) -> None:
        self.commands = []
        self.refused: set[str] = set()

    def run(self, argv: Sequence[str], *_: object) -> CommandResult:
        self.commands.append(list(argv))
        if argv[0] in self.refused:
            return CommandResult(5, "", f"{argv[0]} would not")
        return CommandResult(0, f"  {MIB}\n" if argv[0] == "pvs" else "", "")


def test_each_volume_has_a_physical_volume_of_its_own(tmp_path: Path) -> None:
    files = []
    for number in range(2):
        files.append(tmp_path / f"pv{number}")
        with files[-1].open("wb") as file:
            file.truncate(20 * MIB)
    node = ScriptedNode()
    volumes = Volumes(node, files)
    volumes.make_group()
    volumes.allocate("vmdata:vm-1-disk-0", 5 * MIB)
    volumes.allocate("vmdata:vm-2-disk-0", 5 * MIB)
    assert volumes.sizes() == {"vmdata:vm-1-disk-0": 8 * MIB, "vmdata:vm-2-disk-0": 8 * MIB}
    assert volumes.file("vmdata:vm-1-disk-0") != volumes.file("vmdata:vm-2-disk-0")
    with pytest.raises(HypervisorError, match="insufficient free space"):
        volumes.allocate("vmdata:vm-3-disk-0", MIB)
    with volumes.disk("vmdata:vm-1-disk-0", writable=True) as disk:
        disk.write_at(0, b"secret")
    path = volumes.file("vmdata:vm-1-disk-0")
    volumes.free("vmdata:vm-1-disk-0")
    assert b"secret" not in path.read_bytes()
    with pytest.raises(HypervisorError, match="no such logical volume"):
        volumes.file("vmdata:vm-1-disk-0")


def test_a_volume_that_would_not_go_is_forgotten_once_the_node_has_it_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "pv0"
    with file.open("wb") as made:
        made.truncate(20 * MIB)
    node = ScriptedNode()
    volumes = Volumes(node, [file])
    volumes.allocate("vmdata:vm-1-disk-0", 5 * MIB)
    node.refused = {"lvremove"}
    with pytest.raises(HypervisorError, match="lvremove would not"):
        volumes.free("vmdata:vm-1-disk-0")
    assert list(volumes.sizes()) == ["vmdata:vm-1-disk-0"]
    node.refused = {"lvs"}
    assert volumes.sizes() == {}
    volumes.allocate("vmdata:vm-2-disk-0", 5 * MIB)
    assert list(volumes.sizes()) == ["vmdata:vm-2-disk-0"]


def test_built_guests_spell_their_vmid_in_their_address() -> None:
    assert built_guest(210).mac == "BC:24:11:00:02:10"
    assert built_guest(100).volume == "vmdata:base-100-disk-0"
