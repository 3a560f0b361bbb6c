"""The drill gateway: a network namespace on the node that owns the guest's production gateway address.

The guest finds its network as at home, the node's own routes never meet its addresses, and logins and probes start from
inside the namespace. Guest and gateway share a bridge of their own, so several drills with one gateway address, or with
equal guest addresses, never meet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from backup_standard.drill import isolation, names, node_commands
from backup_standard.drill.guard import Guard
from backup_standard.drill.ports import Ran, Shell
from backup_standard.drill.preflight import node_leftovers
from backup_standard.errors import Refused


@dataclass(frozen=True)
class Gateway:
    """One guest's gateway on a node. ``address`` has the prefix of the guest's network.

    ``vmid`` is whose bridge and namespace they are: in an application group those of its first guest. ``guest`` is then
    the guest itself, and ``others`` the ports of the group's guests that are on the bridge already.
    """

    vmid: int
    address: str
    guest_address: str
    shell: Shell
    guard: Guard
    kind: str = "qemu"
    guest: int | None = None
    others: Collection[str] = ()

    @classmethod
    def of(
        cls, vmid: int, guest: str, gateway: str | None, shell: Shell, guard: Guard, *, kind: str = "qemu"
    ) -> Gateway:
        """Plan the gateway of a guest whose address is ``guest`` (with prefix); ``gateway`` None: the first address."""
        own, address = address_of(vmid, guest, gateway)
        return cls(vmid, own, address, shell, guard, kind)

    def shared_with(self, vmid: int, guest: str, kind: str, others: Collection[str]) -> Gateway:
        """The same gateway for a further guest of the group, whose address is ``guest`` (with prefix)."""
        address = str(ipaddress.ip_interface(guest).ip)
        return replace(self, guest_address=address, kind=kind, guest=vmid, others=others)

    @property
    def namespace(self) -> str:
        """The namespace that logins and probes run in."""
        return names.namespace(self.vmid)

    @property
    def own_address(self) -> str:
        """The gateway's address without prefix."""
        return self.address.split("/")[0]

    def up(self) -> None:
        """Make bridge and namespace. Refused when a command fails; what was made by then is removed by :meth:`down`."""
        for argv in (*node_commands.make_bridge(self.vmid), *node_commands.make_gateway(self.vmid, self.address)):
            self._must(argv)

    def attach(self, cards: Collection[int]) -> str:
        """Move the running guest's ports over and prove that it shares the bridge with its gateway alone."""
        guest = self.vmid if self.guest is None else self.guest
        for card in sorted(cards):
            self._must(node_commands.move_port(guest, card, self.kind, onto=self.vmid))
        return self.prove_alone(cards)

    def prove_alone(self, cards: Collection[int]) -> str:
        """Prove that the running guest shares the bridge with its gateway alone; Refused names what joined them."""
        guest = self.vmid if self.guest is None else self.guest
        return isolation.prove_alone(
            self.shell, vmid=guest, cards=cards, kind=self.kind, bridge_of=self.vmid, others=self.others
        )

    def ping(self) -> bool:
        """Whether the guest answers one echo request of the gateway."""
        return self._run(node_commands.ping(self.vmid, self.guest_address)).rc == 0

    def _must(self, argv: Sequence[str]) -> None:
        ran = self._run(argv)
        if ran.rc != 0:
            raise Refused(f"{' '.join(argv)} failed on the node: {(ran.stderr or ran.stdout).strip()}")

    def _run(self, argv: Sequence[str]) -> Ran:
        self.guard.permit_command(argv)
        return self.shell(argv)


def address_of(vmid: int, guest: str, gateway: str | None) -> tuple[str, str]:
    """The gateway's address with prefix, and the guest's without; ``gateway`` None: the network's first address.

    Refused where both would be the same.
    """
    network = ipaddress.ip_interface(guest)
    own = ipaddress.ip_address(gateway) if gateway else next(network.network.hosts())
    if own == network.ip:
        raise Refused(f"guest and gateway of VMID {vmid} would both have the address {own}")
    return f"{own}/{network.network.prefixlen}", str(network.ip)


def remove(vmid: int, shell: Shell, guard: Guard) -> None:
    """Remove what exists of a VMID's gateway."""
    for argv in (*node_commands.remove_gateway(vmid), node_commands.remove_port(vmid)):
        if any(left.split()[-1] == argv[-1] for left in node_leftovers(shell, vmid)):
            guard.permit_command(argv)
            shell(argv)
