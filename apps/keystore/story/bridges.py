"""The L1 side of the mirrors: the broadcaster, and the adapters of two kinds of bridges."""

from __future__ import annotations

from typing import Final

import msgspec

from microrollup.codec.json import hex0x

from ..root_calls import Delivery, encode_arbitrum_parameters, encode_broadcast
from ..root_proofs import STORAGE_SLOTS, RootProof, make_root_proof
from ..smart_account import compute_deployed_address, load_creation_code
from .chain import Chain, Sent
from .stand_ins import ARBITRUM_INBOX, install_arbitrum_inbox

__all__ = ["Bridges", "broadcast", "deploy_bridges", "encode_origin_creations", "prove_inbox"]

_L2_MESSENGER: Final = bytes.fromhex("4200000000000000000000000000000000000007")
"""OP-stack's predeploy L2CrossDomainMessenger."""

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


def _word(address: bytes) -> bytes:
    return address.rjust(32, b"\0")


def deploy_bridges(l1: Chain, inbox: bytes) -> Bridges:
    """The broadcaster of an inbox, and its adapters. They need no permission, and nobody owns them."""
    install_arbitrum_inbox(l1.anvil)
    broadcaster, broadcaster_gas = l1.deploy(load_creation_code("KeystoreBroadcaster") + _word(inbox))
    op_stack_sender, op_stack_gas = l1.deploy(load_creation_code("OpStackSender") + _word(broadcaster))
    arbitrum_sender, arbitrum_gas = l1.deploy(load_creation_code("ArbitrumSender") + _word(broadcaster))
    gas = broadcaster_gas + op_stack_gas + arbitrum_gas
    return Bridges(inbox, broadcaster, op_stack_sender, arbitrum_sender, gas)


def encode_origin_creations(bridges: Bridges) -> list[bytes]:
    """What is deployed on every L2 to know the broadcaster's messages: both kinds of origins, and either of them last.

    It is the same code on all L2s, so the roots' contract gets the same address on all of them.
    """
    op_stack = load_creation_code("OpStackOrigin") + _word(_L2_MESSENGER) + _word(bridges.op_stack_sender)
    arbitrum = load_creation_code("ArbitrumOrigin") + _word(bridges.arbitrum_sender)
    either = load_creation_code("EitherOrigin") + b"".join(
        [_word(compute_deployed_address(code)) for code in (op_stack, arbitrum)]
    )
    return [op_stack, arbitrum, either]


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
