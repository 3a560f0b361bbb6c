"""The layouts that ``tests/lab/test_storage_layouts.py`` builds on a real node, over what its tools said then."""

from __future__ import annotations

import pytest

from backup_standard.collect.mounts import read_mount
from backup_standard.model import Mount, Storage
from tests.lab.layouts import LAYOUTS, MOUNT, Layout
from tests.unit.audit.test_devices import read

AT_MOUNT = Storage("layout", "dir", frozenset({"backup"}), MOUNT)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: one.name)
def test_a_storage_is_followed_to_its_disks(layout: Layout) -> None:
    storage = layout.storage or AT_MOUNT
    host, resolver = read(f"node-{layout.name}", storage)
    mount = None if layout.storage else read_mount(host, MOUNT)
    assert layout.storage or isinstance(mount, Mount)

    found = resolver.storage(storage, mount)

    assert {disk.serial for disk in found.disks} == layout.disks
