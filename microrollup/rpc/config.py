"""What a node says of its rollup: everything that a wallet needs to sign, out of the app's own declaration."""

from __future__ import annotations

from typing import Any

import msgspec

from microrollup.chain.answers.confirmations import LEVELS
from microrollup.chain.answers.node import ActionConfig, EnvelopeConfig, EventConfig, FieldConfig, NodeConfig
from microrollup.chain.block import compute_block_hash, compute_genesis_header
from microrollup.codec.schema import describe_struct, render_schema
from microrollup.crypto.eip712 import list_types
from microrollup.declaration.rollup import MicroRollup
from microrollup.node.reading import ReadingNode
from microrollup.rpc.limits import RpcLimits

__all__ = ["describe_actions", "describe_config", "describe_events", "describe_fields"]


def describe_config(node: ReadingNode, limits: RpcLimits) -> NodeConfig:
    """The answer to `rollup_config`."""
    rollup, genesis = node.rollup, node.genesis
    number = node.l1.get_number()
    verifiers = node.l1.get_verifiers(number)
    actions = describe_actions(rollup)
    types: dict[str, Any] = {}
    for action in actions:
        types |= action.types
    return NodeConfig(
        name=rollup.name,
        version=rollup.version,
        rollup_id=node.rollup_id,
        genesis_hash=compute_block_hash(compute_genesis_header(genesis)),
        stf_id=rollup.stf_id,
        l1_chain_id=genesis.l1_chain_id,
        inbox=node.l1.get_inbox(),
        builder=node.l1.get_builder(number),
        verifiers=verifiers.members,
        quorum=verifiers.quorum,
        domain=rollup.make_domain(genesis.domain.chain_id, genesis.domain.verifying_contract),
        types=types,
        actions=actions,
        fields=describe_fields(rollup),
        events=describe_events(rollup),
        block_time=node.options.timing.block_seconds,
        block_size=node.options.block_size,
        limits=msgspec.to_builtins(limits),
        confirmations=LEVELS,
        envelopes=_describe_envelopes(rollup),
    )


def describe_actions(rollup: MicroRollup) -> tuple[ActionConfig, ...]:
    """What a wallet signs."""
    return tuple(
        [
            ActionConfig(each.name, each.type_string, each.type_hash, list_types(each.type))
            for each in rollup.action_types
        ]
    )


def describe_events(rollup: MicroRollup) -> tuple[EventConfig, ...]:
    """By their names."""
    return tuple(
        [
            EventConfig(name, list_types(describe_struct(cls, where="event"), nonce=False))
            for name, cls in sorted(rollup.event_classes.items())
        ]
    )


def _describe_envelopes(rollup: MicroRollup) -> tuple[EnvelopeConfig, ...]:
    described: list[EnvelopeConfig] = []
    for name, envelope in sorted(rollup.envelopes.items()):
        types: dict[str, Any] = {}
        for each in envelope.types:
            types |= list_types(each.type, nonce=False)
        described.append(EnvelopeConfig(name, tuple(envelope.types.by_name), types))
    return tuple(described)


def describe_fields(rollup: MicroRollup) -> tuple[FieldConfig, ...]:
    """Of the state, as declared."""
    return tuple(
        [
            FieldConfig(
                name=field.name,
                kind="map" if field.is_map else "scalar",
                settled=field.settled,
                number=field.number,
                key_type=None if field.key_type is None else render_schema(field.key_type),
                value_type=render_schema(field.value_type),
            )
            for field in rollup.state_type.fields
        ]
    )
