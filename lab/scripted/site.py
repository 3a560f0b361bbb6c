"""The lab's own guests as scripted ones: the same names, addresses, accounts and services as the real images have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode
from lab.scripted import container
from lab.scripted.image import BASE_SERVICES, Account, GuestImage, hashed, new_host_key
from lab.settings import CONTAINER, DRILL_ACCOUNT, GUESTS, LAN_GATEWAY, LAN_PREFIX, BuiltGuest

CLIENT_DATA = {"customers.csv": "id,name\n1,Example\n2,Sample\n", "readme.txt": "client data of the lab\n"}
"""Files of the container under /srv/data."""


@dataclass(frozen=True)
class GuestAccess:
    """How the guests' ``drill`` account is entered ("" for not at all), and the guests' SSH host keys (PEM by VMID)."""

    public_key: str = ""
    password: str = ""
    host_keys: Mapping[int, str] = field(
        default_factory=lambda: {guest.vmid: new_host_key() for guest in (*GUESTS, CONTAINER)}
    )


def _role(image: GuestImage, role: str) -> None:
    """Give an image what its role serves."""
    if role == "docker":
        image.services["docker.service"] = image.services["containerd.service"] = "active"
        image.ports["8080"] = "http:lab web is up\n"
        image.containers["web"] = "running"
        image.files["/etc/docker/daemon.json"] = '{"storage-driver": "overlay2"}\n'
    elif role == "dns":
        image.services["dnsmasq.service"] = "active"
        image.ports["53"] = "dns"
        image.records["www.lab.example"] = "10.0.0.80"
        image.files["/etc/dnsmasq.d/lab.conf"] = "no-resolv\naddress=/www.lab.example/10.0.0.80\n"
    elif role == "monitoring":
        image.services["prometheus-node-exporter.service"] = "active"
        image.files["/etc/default/prometheus-node-exporter"] = 'ARGS="--no-collector.wifi"\n'
        image.ports["9100"] = "http:# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.1\n"


def guest_image(guest: BuiltGuest, access: GuestAccess) -> GuestImage:
    """Return the image of one of the lab's virtual machines."""
    account = Account(
        1000, [access.public_key] if access.public_key else [], hashed(access.password) if access.password else ""
    )
    image = GuestImage(
        guest.name,
        [[f"{guest.address}/{LAN_PREFIX}"]],
        LAN_GATEWAY,
        dict.fromkeys(BASE_SERVICES, "active"),
        accounts={DRILL_ACCOUNT: account},
        host_key=access.host_keys[guest.vmid],
    )
    _role(image, guest.role)
    return image


def container_root(access: GuestAccess | None = None) -> bytes:
    """Return the root file system of the lab's container as a tar: an SSH and a web server, and the client's data."""
    image = guest_image(CONTAINER, access or GuestAccess())
    image.services = {"ssh.service": "active"}
    image.ports["80"] = f"http:{CLIENT_DATA['customers.csv']}"
    return container.root_of(image, {f"/srv/data/{name}": text for name, text in CLIENT_DATA.items()})


def lab_hypervisor(
    access: GuestAccess | None = None, node: MemoryNode | None = None, *, running: bool = True
) -> MemoryHypervisor:
    """Make the lab's machinery in memory: the volumes of its guests and, if wanted, its production guests running."""
    hypervisor = MemoryHypervisor(node)
    known = access or GuestAccess()
    for guest in GUESTS:
        hypervisor.allocate(guest.volume, guest.disk_mib << 20)
        guest_image(guest, known).write(hypervisor.disks[guest.volume])
    hypervisor.allocate(CONTAINER.volume, CONTAINER.disk_mib << 20)
    hypervisor.disks[CONTAINER.volume].write_at(0, container_root(known))
    if running:
        start_production(hypervisor)
    return hypervisor


def start_production(hypervisor: MemoryHypervisor) -> None:
    """Power on every guest that is no template, on the production bridge."""
    for guest in GUESTS:
        if not guest.template:
            config = {
                "agent": "1",
                "boot": "order=virtio0",
                "memory": str(guest.memory),
                "serial0": "socket",
                "net0": f"virtio={guest.mac},bridge=vmbr0",
                "virtio0": guest.volume,
            }
            hypervisor.start(guest.vmid, config, {"virtio0": guest.volume})
    net = (
        f"name=eth0,bridge=vmbr0,hwaddr={CONTAINER.mac},ip={CONTAINER.address}/{LAN_PREFIX},gw={LAN_GATEWAY},type=veth"
    )
    hypervisor.start(CONTAINER.vmid, {"net0": net, "hostname": CONTAINER.name}, {"rootfs": CONTAINER.volume})
