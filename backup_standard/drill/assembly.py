"""Puts a drill's tools together from an inventory: tokens, guard, node, console, and the folder of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import websocket

from backup_standard.drill.choices import USUAL, Choices
from backup_standard.drill.claims import Claim, Claims
from backup_standard.drill.course import Tools
from backup_standard.drill.door import run_on
from backup_standard.drill.guard import Ground, Guard
from backup_standard.drill.limits import Limits
from backup_standard.drill.names import Reserved
from backup_standard.drill.ports import Shell
from backup_standard.drill.preflight import Surroundings
from backup_standard.drill.progress import Listener
from backup_standard.drill.screen import Open, Websocket
from backup_standard.errors import OperatorError
from backup_standard.hosts import SshClient, node_client
from backup_standard.inventory.drills import DrillSection
from backup_standard.inventory.schema import ApiSection, Inventory, Token
from backup_standard.model import Facts, Gap
from backup_standard.pve import Pve, PveWriter


def drill_ground(inventory: Inventory) -> tuple[DrillSection, Token]:
    """The inventory's ``drill`` section and the token for it; OperatorError says which is missing."""
    if inventory.drill is None:
        raise OperatorError(
            "the inventory has no drill section", next_step="add drill: {bridge: …, storage: …, vmids: LOW-HIGH}"
        )
    if inventory.api.drill_token is None:
        raise OperatorError(
            "the inventory has no api.drill_token",
            next_step="make a token that may write to the temporary VMIDs alone, and name it there",
        )
    return inventory.drill, inventory.api.drill_token


def writer(inventory: Inventory, claims: Claims | None, adopted: Sequence[Claim] = ()) -> tuple[PveWriter, Guard]:
    """The drill token's client, and the guard that every write of it passes."""
    section, token = drill_ground(inventory)
    ground = Ground(Reserved.of(inventory), section.bridge, section.storage, section.pool)
    guard = Guard(ground, claims, Pve(inventory.api, token), adopted=adopted)
    return PveWriter(inventory.api, token, guard.permit), guard


def node_shell(inventory: Inventory, node: str) -> tuple[SshClient | None, Shell | None]:
    """SSH to a node where the inventory allows a gateway and says how to log in. OperatorError unless that is root."""
    section, _token = drill_ground(inventory)
    if not section.gateway or node not in inventory.nodes:
        return None, None
    if inventory.nodes[node].uses_sudo:
        raise OperatorError(
            f"a drill's gateway on node {node} needs root, and {inventory.nodes[node].ssh} may only read there",
            where=f"nodes.{node}.ssh",
            next_step="for drills write ssh: root@HOST, or drill: {gateway: false} to go through the guest agent alone",
        )
    client = node_client(inventory, node)
    return client, lambda argv: run_on(client, argv)


def surroundings(inventory: Inventory, facts: Facts) -> Surroundings:
    """What the facts say of the site around a drill."""
    if isinstance(facts.jobs, Gap):
        return Surroundings((), inventory.site.timezone, f"{facts.jobs.fact}: {facts.jobs.reason}")
    return Surroundings(tuple(facts.jobs.values()), inventory.site.timezone)


def tools(
    inventory: Inventory, facts: Facts, *, node: str, folder: Path, run: str, listener: Listener,
    choices: Choices = USUAL,
) -> Tools:  # fmt: skip
    """Everything a drill on one node works with. Connects nowhere yet."""
    claims = Claims(folder, run)
    api, guard = writer(inventory, claims)
    client, shell = node_shell(inventory, node) if choices.gateway else (None, None)

    def closing() -> None:
        guard.close()
        api.close()
        if client:
            client.close()

    return Tools(
        api=api,
        guard=guard,
        claims=claims,
        surroundings=surroundings(inventory, facts),
        guests={vmid: guest.drill.address if guest.drill else None for vmid, guest in inventory.guests.items()},
        folder=folder,
        run=run,
        class_=inventory.class_,
        open_websocket=websocket_opener(inventory.api, api),
        listener=listener,
        node=client,
        shell=shell,
        close=closing,
        choices=choices,
        limits=Limits(folder, drill_ground(inventory)[0].restores_at_once),
    )


def websocket_opener(api: ApiSection, client: Pve) -> Open:
    """Opens websockets of the API with the client's own trust and token."""

    def open_websocket(path: str) -> Websocket:
        endpoint = client.endpoint
        opened: Websocket = websocket.create_connection(
            f"wss://{endpoint.host}:{endpoint.port}/api2/json{path}",
            socket=endpoint.open(),
            header=[f"Authorization: {client.authorization()}"],
            subprotocols=["binary"],
            timeout=api.timeout.total_seconds(),
        )
        return opened

    return open_websocket
