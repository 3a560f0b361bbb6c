"""The lab's machinery in memory, fresh for each test."""

from collections.abc import Iterator

import pytest

from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode
from lab.scripted.image import new_host_key
from lab.scripted.site import GuestAccess, lab_hypervisor
from lab.scripted_ssh import load_key, public_text

CLIENT_KEY = new_host_key()
PASSWORD = "correct horse"


@pytest.fixture
def client_key() -> str:
    return CLIENT_KEY


@pytest.fixture
def access() -> GuestAccess:
    return GuestAccess(public_text(load_key(CLIENT_KEY)), PASSWORD)


@pytest.fixture
def hypervisor(access: GuestAccess) -> Iterator[MemoryHypervisor]:
    with lab_hypervisor(access) as machinery:
        yield machinery


@pytest.fixture
def node(hypervisor: MemoryHypervisor) -> MemoryNode:
    return hypervisor.node
