"""What was read over SSH before, put into what the API shows now."""

from __future__ import annotations

import re
from dataclasses import replace

from backup_standard.collect.site import with_gaps_listed
from backup_standard.model import Facts, Gap
from backup_standard.model.codec import facts_to_json


def with_the_nodes_side(facts: Facts, known: Facts) -> Facts:
    """The facts of an API with the node's side of others."""
    return with_gaps_listed(
        replace(
            facts,
            mounts=known.mounts,
            job_states=known.job_states,
            dumps=known.dumps,
            images=known.images,
            systems=known.systems,
            journals=known.journals,
        )
    )


def at_the_same_moment(facts: Facts, known: Facts) -> Facts:
    """The facts as if they had been read when the others were."""
    nodes = {name: node if isinstance(node, Gap) else known.nodes[name] for name, node in facts.nodes.items()}
    return replace(facts, nodes=nodes, taken_at=known.taken_at)


def without_reasons(facts: Facts) -> str:
    """The facts as text, alike for gaps that differ in their reasons alone: those are judged alike."""
    return re.sub(r'"reason": "(?:[^"\\\\]|\\\\.)*"', '"reason": ""', facts_to_json(facts))
