"""What a node says of itself: everything that a wallet needs to sign, out of the app's own declaration."""

from __future__ import annotations

from typing import Any

import msgspec

from microrollup.block import compute_block_hash, compute_genesis_header
from microrollup.codec.json import hex0x
from microrollup.codec.schema import render_schema
from microrollup.eip712 import list_types
from microrollup.node.confirmations import LEVELS
from microrollup.node.events import EventReader
from microrollup.node.runtime import Node
from microrollup.rpc.limits import RpcLimits

__all__ = ["describe_config"]


def describe_config(node: Node, limits: RpcLimits) -> dict[str, Any]:
    """The answer to `rollup_config`."""
    rollup, genesis = node.rollup, node.genesis
    number = node.l1.get_number()
    verifiers = node.l1.get_verifiers(number)
    actions = [
        {
            "name": action_type.name,
            "typeString": action_type.type_string,
            "typeHash": hex0x(action_type.type_hash),
            "types": list_types(action_type.type),
        }
        for action_type in rollup.action_types
    ]
    types: dict[str, Any] = {}
    for action_type in rollup.action_types:
        types |= list_types(action_type.type)
    domain = genesis.domain
    return {
        "name": rollup.name,
        "version": rollup.version,
        "rollupId": hex0x(node.rollup_id),
        "genesisHash": hex0x(compute_block_hash(compute_genesis_header(genesis))),
        "stfId": hex0x(rollup.stf_id),
        "l1ChainId": genesis.l1_chain_id,
        "inbox": hex0x(node.l1.get_inbox()),
        "builder": hex0x(node.l1.get_builder(number)),
        "verifiers": [hex0x(address) for address in verifiers.addresses],
        "quorum": verifiers.quorum,
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id,
            "verifyingContract": hex0x(domain.verifying_contract),
        },
        "types": types,
        "actions": actions,
        "fields": [
            {
                "name": field.name,
                "kind": "map" if field.is_map else "scalar",
                "settled": field.settled,
                "keyType": None if field.key_type is None else render_schema(field.key_type),
                "valueType": render_schema(field.value_type),
            }
            for field in rollup.state_type.fields
        ],
        "events": EventReader(rollup).names,
        "blockTime": node.options.timing.block_seconds,
        "blockSize": node.options.block_size,
        "limits": msgspec.to_builtins(limits),
        "confirmations": list(LEVELS),
    }
