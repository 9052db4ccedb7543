"""The L1 side of the mirrors: the broadcaster, and the adapters of two kinds of bridges."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.codec.json import hex0x

from ..chains.plan import deploy_contracts, plan_bridges
from ..root_calls import Delivery, encode_arbitrum_parameters, encode_broadcast
from ..root_proofs import STORAGE_SLOTS, RootProof, make_root_proof
from .chain import Chain, Sent
from .stand_ins import ARBITRUM_INBOX, install_arbitrum_inbox

__all__ = ["Bridges", "broadcast", "deploy_bridges", "prove_inbox"]

_SUBMISSION_COST: Final = 10**15
_GAS_LIMIT: Final = 200_000
_GAS_PRICE: Final = 10**9


class Bridges(msgspec.Struct, frozen=True):
    """Contracts on L1, 20 bytes each."""

    inbox: bytes
    broadcaster: bytes
    op_stack_sender: bytes
    arbitrum_sender: bytes
    gas: int
    """What it took to deploy them."""


def deploy_bridges(l1: Chain, inbox: bytes) -> Bridges:
    """The broadcaster of an inbox, and its adapters. They need no permission, and nobody owns them."""
    install_arbitrum_inbox(l1.anvil)
    contracts = plan_bridges(inbox)
    gas = sum(deploy_contracts(contracts, l1.deploy).values())
    broadcaster, op_stack_sender, arbitrum_sender = [contract.address for contract in contracts]
    return Bridges(inbox, broadcaster, op_stack_sender, arbitrum_sender, gas)


def broadcast(l1: Chain, bridges: Bridges, receiver: bytes) -> Sent:
    """Tell an Arbitrum chain what the inbox holds now; anybody may."""
    parameters = encode_arbitrum_parameters(ARBITRUM_INBOX, _SUBMISSION_COST, _GAS_LIMIT, _GAS_PRICE, l1.funder)
    value = _SUBMISSION_COST + _GAS_LIMIT * _GAS_PRICE
    delivery = Delivery(bridges.arbitrum_sender, receiver, value, parameters)
    return l1.send(bridges.broadcaster, encode_broadcast([delivery]), value=value)


def prove_inbox(l1: Chain, inbox: bytes, number: str) -> RootProof:
    """What the inbox holds in an L1 block, from what any L1 node answers."""
    block = l1.anvil.call("eth_getBlockByNumber", number, False)
    return make_root_proof(block, l1.anvil.call("eth_getProof", hex0x(inbox), list(STORAGE_SLOTS), number))
