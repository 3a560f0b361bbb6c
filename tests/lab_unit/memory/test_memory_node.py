"""The node in memory: its mounts, its units, its journal and its commands tell one story."""

import json

import pytest

from lab.archive import compressor
from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode


def told(node: MemoryNode, line: str) -> str:
    result = node.shell(line)
    assert result.rc == 0, f"{line}: {result}"
    return result.stdout


def test_an_unplugged_backup_disk_leaves_a_folder_of_the_root_disk(node: MemoryNode) -> None:
    node.write("/mnt/backup/dump/a", b"on the backup disk")
    before = json.loads(told(node, "findmnt -J -T /mnt/backup -o SOURCE,TARGET"))["filesystems"]
    device = told(node, "stat -c %d /mnt/backup")
    node.unplug_backup()
    after = json.loads(told(node, "findmnt -J -T /mnt/backup -o SOURCE,TARGET"))["filesystems"]

    assert before == [{"source": "/dev/vdc", "target": "/mnt/backup"}]
    assert after == [{"source": "/dev/vda1", "target": "/"}]
    assert device != told(node, "stat -c %d /mnt/backup") == told(node, "stat -c %d /")
    assert node.usage("/mnt/backup").mountpoint == "/"
    assert "/mnt/backup" not in node.mountpoints()
    assert "BACKUP0" not in told(node, "lsblk -J -o NAME,SERIAL")
    assert told(node, "systemctl show -p ActiveState --value mnt-backup.mount") == "inactive\n"
    node.makedirs("/mnt/backup/dump")
    node.write("/mnt/backup/dump/b", b"on the root disk")
    node.plug_backup()
    assert [file.name for file in node.listdir("/mnt/backup/dump")] == ["a"]


def test_files_have_times_sizes_and_errors(node: MemoryNode) -> None:
    node.write("/tmp/a", b"12345", mtime=1000.0)

    assert [(file.name, file.size, file.mtime) for file in node.listdir("/tmp")] == [("a", 5, 1000.0)]
    assert told(node, "stat -c '%s %Y %a %U %n' /tmp/a") == "5 1000 644 root /tmp/a\n"
    node.rename("/tmp/a", "/tmp/b")
    with pytest.raises(FileNotFoundError):
        node.read("/tmp/a")
    with pytest.raises(FileNotFoundError):
        node.write("/no/folder/a", b"")
    with pytest.raises(FileNotFoundError):
        node.listdir("/no/folder")
    node.unlink("/tmp/b")
    assert node.listdir("/tmp") == []


def test_usage_follows_what_is_written_and_links_count_once(node: MemoryNode) -> None:
    before = node.usage("/mnt/backup")
    data = b"x" * 100_000
    for name in ("a", "b"):
        node.write(f"/mnt/backup/dump/{name}", data)

    assert node.usage("/mnt/backup").used - before.used == 100_000
    assert told(node, "df -B1 /mnt/backup/dump").splitlines()[1].split()[2] == str(node.usage("/mnt/backup").used)


@pytest.mark.parametrize(("fault", "code"), [("full", 28), ("readonly", 30), ("broken", 5)])
def test_a_sick_disk_refuses_writes(node: MemoryNode, fault: str, code: int) -> None:
    setattr(node.backup_disk, fault, True)

    with pytest.raises(OSError, match=r".") as refused:
        node.write("/mnt/backup/dump/a", b"x")
    assert refused.value.errno == code


def test_a_broken_disk_is_still_mounted_but_not_read(node: MemoryNode) -> None:
    node.write("/mnt/backup/dump/a", b"x")
    node.backup_disk.broken = True

    assert json.loads(told(node, "findmnt -J -T /mnt/backup/dump"))["filesystems"][0]["source"] == "/dev/vdc"
    assert node.usage("/mnt/backup/dump").mountpoint == "/mnt/backup"
    assert node.shell("cat /mnt/backup/dump/a").stderr == "cat: /mnt/backup/dump/a: Input/output error\n"
    assert node.shell("sha256sum /mnt/backup/dump/a").rc == 1


def test_a_disk_that_was_remounted_readonly_says_so(node: MemoryNode) -> None:
    node.backup_disk.readonly = True

    assert told(node, "findmnt -n -o OPTIONS -T /mnt/backup") == "ro,relatime\n"


def test_lsblk_leads_from_the_mount_to_the_disk(node: MemoryNode) -> None:
    source = json.loads(told(node, "findmnt -J -T / -o SOURCE"))["filesystems"][0]["source"]
    tree = json.loads(told(node, f"lsblk -J -s -p -o NAME,TYPE,PKNAME {source}"))["blockdevices"]

    assert tree == [
        {
            "name": "/dev/vda1",
            "type": "part",
            "pkname": "/dev/vda",
            "children": [{"name": "/dev/vda", "type": "disk", "pkname": None}],
        }
    ]
    assert node.shell("lsblk -J /dev/nope").rc == 32


def test_the_volume_group_follows_the_volumes(hypervisor: MemoryHypervisor, node: MemoryNode) -> None:
    command = "vgs --units b --nosuffix --reportformat json -o vg_name,vg_free,lv_count"
    before = json.loads(told(node, command))["report"][0]["vg"][0]
    hypervisor.allocate("vmdata:vm-9000-disk-0", 1 << 30)
    after = json.loads(told(node, command))["report"][0]["vg"][0]

    assert int(before["vg_free"]) - int(after["vg_free"]) == 1 << 30
    assert int(after["lv_count"]) == int(before["lv_count"]) + 1
    names = json.loads(told(node, "lvs --units b --nosuffix --reportformat json -o lv_name"))["report"][0]["lv"]
    assert {"lv_name": "vm-9000-disk-0"} in names


def test_units_answer_as_systemd_does(node: MemoryNode) -> None:
    assert told(node, "systemctl is-active pvescheduler") == "active\n"
    node.host.services["pvescheduler.service"].active = "failed"
    assert (node.shell("systemctl is-active pvescheduler").rc, node.shell("systemctl is-active nope").rc) == (3, 4)
    assert node.shell("systemctl is-system-running").stdout == "degraded\n"
    shown = told(node, "systemctl show --no-pager --property=LoadState,ActiveState pvescheduler.service nope.service")
    assert shown == "LoadState=loaded\nActiveState=failed\n\nLoadState=not-found\nActiveState=inactive\n"


def test_the_clock_is_synchronised_while_its_service_runs(node: MemoryNode) -> None:
    assert told(node, "timedatectl show -p NTPSynchronized --value") == "yes\n"
    node.host.services["chrony.service"].active = "inactive"
    assert told(node, "timedatectl show --property=NTPSynchronized") == "NTPSynchronized=no\n"


def test_the_clock_can_be_elsewhere(node: MemoryNode) -> None:
    before = node.now()
    node.skew = 7 * 86400

    assert node.now() - before >= 7 * 86400
    assert int(told(node, "date +%s")) - before >= 7 * 86400 - 1


def test_the_journal_is_in_order_and_selects(node: MemoryNode) -> None:
    node.journal("pvescheduler", "later", when=2000)
    node.journal("pvescheduler", "earlier", when=1000)
    node.journal("pvedaemon", "another", when=1500)
    lines = told(node, "journalctl -o json --since @900 --until @3000 -t pvescheduler --no-pager").splitlines()

    assert [json.loads(line)["MESSAGE"] for line in lines] == ["earlier", "later"]
    assert json.loads(lines[0])["__REALTIME_TIMESTAMP"] == "1000000000"
    assert told(node, "journalctl -o cat -n 1 --until=@3000 -t pvescheduler -t pvedaemon") == "later\n"
    assert told(node, "journalctl -t nobody") == "-- No entries --\n"


@pytest.mark.parametrize(
    "line",
    ["frobnicate --all", "systemctl mask ssh", "cat /etc/fstab > /tmp/x", "ip link add x type vxlan", "stat /etc/fstab",
     "lsblk", "findmnt -J -o TARGET,NOPE", "sh script.sh", "journalctl --vacuum-size=1"],
)  # fmt: skip
def test_what_nobody_scripted_fails_and_is_named(node: MemoryNode, line: str) -> None:
    result = node.shell(line)

    assert result.rc == 127
    assert result.stderr.startswith("lab: no recorded result for command: ")


def test_argv_and_shell_lines_give_the_same(node: MemoryNode) -> None:
    assert node.run(["cat", "/etc/fstab"]) == node.shell("cat /etc/fstab")
    assert node.run(["frobnicate", "a b"]).stderr == "lab: no recorded result for command: frobnicate 'a b'\n"


@pytest.mark.parametrize(
    ("line", "out", "rc"),
    [
        ("true && echo a || echo b", "a\n", 0),
        ("false && echo a || echo b", "b\n", 0),
        ("false; echo $?", "$?\n", 0),
        ("cat /nope 2>/dev/null || echo missing", "missing\n", 0),
        ("cat /nope 2>&1", "cat: /nope: No such file or directory\n", 1),
        ('systemctl list-unit-files | grep -q "^ssh"', "", 0),
        ("systemctl list-unit-files | grep -q nope", "", 1),
        ("timeout 5 sh -c 'hostname && id -un'", "pve1\nroot\n", 0),
        ("test -d /mnt/backup && test ! -e /nope", "", 0),
        ("readlink -f /sbin/init", "/lib/systemd/systemd\n", 0),
        ("echo a ';' b '|' '&&'; echo 'c;d'", "a ; b | &&\nc;d\n", 0),
        ("command -v zpool", "", 127),
        ("command -v findmnt", "/usr/bin/findmnt\n", 0),
        ("zpool list", "", 127),
        ("echo 'a; b' > /dev/null", "", 0),
        ("echo 'unclosed", "", 2),
    ],
)
def test_shell_lines(node: MemoryNode, line: str, out: str, rc: int) -> None:
    result = node.shell(line)

    assert (result.stdout, result.rc) == (out, rc)


def test_fixed_results_come_first(node: MemoryNode) -> None:
    node.host.extra["hostname"] = node.shell("echo elsewhere")

    assert node.shell("hostname").stdout == node.run(["hostname"]).stdout == "elsewhere\n"


def test_zstd_tests_archives(node: MemoryNode) -> None:
    class Out(bytearray):
        def write(self, data: bytes) -> None:
            self.extend(data)

    out = Out()
    with compressor(out, "zstd") as stream:
        stream.write(bytes(100_000))
    node.write("/tmp/a.zst", bytes(out))
    node.write("/tmp/b.zst", bytes(out[:-2]))

    assert node.shell("zstd -t /tmp/a.zst").stderr == "/tmp/a.zst: 100000 bytes \n"
    bad = node.shell("zstd -t /tmp/b.zst")
    assert (bad.rc, bad.stderr) == (1, "/tmp/b.zst : Read error (39) : premature end\n")
