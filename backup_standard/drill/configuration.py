"""The configurations of a guest side by side: as archived, as restored, and as production has it today."""

from __future__ import annotations

from collections.abc import Mapping

from backup_standard.drill import guestconfig
from backup_standard.quantities import say_size

Config = Mapping[str, str]

SHAPE = (
    "cores", "sockets", "cpu", "memory", "swap", "balloon", "bios", "machine", "ostype", "arch", "scsihw", "boot",
    "unprivileged",
)  # fmt: skip
"""Keys that decide what machine the guest finds itself on; those of VMs and of containers."""

_UNSET, _SIZE_OF = "(unset)", "size of "


def drift(archived: Config, production: Config) -> list[str]:
    """What production has today and the archive has not, or otherwise: what a real restore would bring back."""
    differing = [*_differing(_shape(archived), _shape(production)), *_differing(_sizes(archived), _sizes(production))]
    return [f"{what}: {old} in the archive, {new} in production today" for what, old, new in differing]


def losses(archived: Config, restored: Config) -> list[str]:
    """What the restored guest has otherwise than its archive. A disk may be larger: storages round up.

    That no disk is missing is seen elsewhere: those that backups leave out on purpose are not meant to come back.
    """
    before, after = guestconfig.disk_sizes(archived), guestconfig.disk_sizes(restored)
    smaller = {key for key in before.keys() & after.keys() if after[key] < before[key]}
    differing = [*_differing(_shape(archived), _shape(restored)), *_differing(_sizes(archived), _sizes(restored))]
    return [
        f"{what} is {new}, in the archive {old}"
        for what, old, new in differing
        if not what.startswith(_SIZE_OF) or what.removeprefix(_SIZE_OF) in smaller
    ]


def _differing(one: Config, other: Config) -> list[tuple[str, str, str]]:
    keys = [*one, *(key for key in other if key not in one)]
    return [(key, one.get(key, _UNSET), other.get(key, _UNSET)) for key in keys if one.get(key) != other.get(key)]


def _shape(config: Config) -> dict[str, str]:
    """Hardware, number of cards and their addresses."""
    cards = guestconfig.cards(config)
    return {
        **{key: config[key] for key in SHAPE if key in config},
        "number of network cards": str(len(cards)),
        **{f"MAC of net{number}": card.get("macaddr", "") for number, card in cards.items()},
    }


def _sizes(config: Config) -> dict[str, str]:
    return {f"{_SIZE_OF}{key}": say_size(size) for key, size in guestconfig.disk_sizes(config).items()}
