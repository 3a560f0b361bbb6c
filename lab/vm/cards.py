"""The node's network cards for guests: each becomes a guest NIC's ``tapVMIDiN`` on the guest's bridge."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from lab.hypervisor import HypervisorError
from lab.vm.courier import Courier
from lab.vm.guest_qemu import Nic
from lab.vm.node_qemu import CARDS, card_socket

SCRIPT = "/usr/local/sbin/lab-card"


class Cards:
    """Which guest holds which card. Safe for several threads."""

    def __init__(self, courier: Courier, sockets: Path) -> None:
        self._courier, self._sockets = courier, sockets
        self._held: dict[int, dict[str, int]] = {}
        self._lock = threading.Lock()

    def take(self, vmid: int, nics: list[Nic]) -> Mapping[str, Path]:
        """Give a guest a card for each NIC and join it to its bridge; returns netN to the card's socket."""
        with self._lock:
            used = {card for cards in self._held.values() for card in cards.values()}
            free = [card for card in range(1, CARDS + 1) if card not in used]
            if len(nics) > len(free):
                raise HypervisorError(
                    f"the lab's node has {CARDS} cards for guests and {len(free)} are free; stop a guest"
                )
            self._held[vmid] = {nic.key: card for nic, card in zip(nics, free, strict=False)}
            held = dict(self._held[vmid])
        for nic in nics:
            self._join(vmid, nic, held[nic.key])
        return {key: card_socket(self._sockets, card) for key, card in held.items()}

    def _join(self, vmid: int, nic: Nic, card: int) -> None:
        done = self._courier.run([SCRIPT, "join", str(card), f"tap{vmid}i{nic.number}", nic.bridge])
        if done.rc:
            self.give_back(vmid)
            raise HypervisorError(done.stderr.strip() or f"could not join {nic.key} to bridge '{nic.bridge}'")

    def give_back(self, vmid: int) -> None:
        """Take a guest's cards off their bridges."""
        with self._lock:
            held = dict(self._held.get(vmid, {}))
        for card in held.values():
            self._courier.run([SCRIPT, "leave", str(card)])
        with self._lock:  # not before: another guest would take a card that still has the first one's name
            self._held.pop(vmid, None)

    def dump(self) -> Mapping[str, Mapping[str, int]]:
        """Return who holds what, to be kept with a saved state."""
        return {str(vmid): cards for vmid, cards in self._held.items()}

    def load(self, table: Mapping[str, Mapping[str, int]]) -> None:
        """Take over who holds what from a saved state."""
        self._held = {int(vmid): dict(cards) for vmid, cards in table.items()}

    def sockets_of(self, vmid: int) -> Mapping[str, Path]:
        """Return netN to the socket of the card, for a guest that holds cards already."""
        return {key: card_socket(self._sockets, card) for key, card in self._held.get(vmid, {}).items()}
