"""The act of the name: L1 gives Alice's address on the L2 for it, by a proof that the node brings and nobody trusts."""

from __future__ import annotations

from typing import Any, Final

import httpx
import msgspec
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode

from microrollup.codec.json import hex0x, read_hex
from microrollup.crypto.keccak import keccak256
from microrollup.errors import MicrorollupError
from microrollup.testing.anvil import AnvilRefused

from ...smart_account import compute_implementation_address, load_creation_code
from ..ens import encode_resolve
from .cast import LABEL
from .stage import Stage

__all__ = ["resolve_name"]

_PARENT: Final = "story.eth"
_OWN_COIN_TYPE: Final = 999_999_999
_EVM_CHAIN: Final = 1 << 31
"""ENSIP-11: the coin type of an EVM chain is this with its id."""
_LOOKUP: Final = keccak256(b"OffchainLookup(address,string[],bytes,bytes4,bytes)")[:4]
_CREATION_TYPES: Final = ("address", "bytes32", "uint256", "(uint256,address,address)[]", "string[]")
_SECONDS: Final = 30.0


class _Answer(msgspec.Struct):
    data: str


def resolve_name(stage: Stage) -> None:
    """A resolver with the node as its gateway; a wallet asks it by CCIP-read (ERC-3668), as ethers and viem do."""
    l1, layer, hub, tell = stage.l1, stage.layer, stage.hub, stage.telling
    tell.begin("Name", "A wallet asks ENS on L1 for alice.story.eth, and gets her address on the L2, proven.")
    coin_type = _EVM_CHAIN | layer.chain_id
    chains = [(coin_type, layer.factory, compute_implementation_address(layer.factory))]
    arguments = [hub.custody.inbox, stage.cast.parent_node, _OWN_COIN_TYPE, chains, [hub.gateway]]
    with tell.timed("deploy the resolver", "set-up", "L1") as figures:
        creation_code = load_creation_code("KeystoreResolver") + abi_encode(_CREATION_TYPES, arguments)
        resolver, figures.gas = l1.deploy(creation_code)
    question = keccak256(b"addr(bytes32,uint256)")[:4]
    for label, expected in ((LABEL, stage.account), ("nobody", b"")):
        node = keccak256(stage.cast.parent_node + keccak256(label.encode()))
        call = encode_resolve(f"{label}.{_PARENT}", question + abi_encode(["bytes32", "uint256"], [node, coin_type]))
        with tell.timed(f"resolve {label}.{_PARENT}", "use") as figures:
            answer, figures.bytes = _look_up(stage, resolver, call)
        (found,) = abi_decode(["bytes"], answer)
        tell.expect(f"{label}.{_PARENT} on the L2", "L1", hex0x(expected), hex0x(found))


def _look_up(stage: Stage, resolver: bytes, call: bytes) -> tuple[bytes, int]:
    """What the resolver gives in the end, and how many bytes the gateway brought."""
    try:
        stage.l1.ask(resolver, call)
    except AnvilRefused as refused:
        raised = refused.data
    else:
        raise MicrorollupError("the resolver answers without a proof")
    if raised[:4] != _LOOKUP:
        raise MicrorollupError(f"the resolver refuses: {hex0x(raised)}")
    lookup: Any = abi_decode(["address", "string[]", "bytes", "bytes4", "bytes"], raised[4:])
    sender, urls, data, callback, extra = lookup
    url = urls[0].replace("{sender}", sender).replace("{data}", hex0x(data))
    response = httpx.get(url, timeout=_SECONDS).raise_for_status()
    brought = read_hex(msgspec.json.decode(response.content, type=_Answer).data, "data")
    answer = stage.l1.ask(resolver, callback + abi_encode(["bytes", "bytes"], [brought, extra]))
    (inner,) = abi_decode(["bytes"], answer)
    return inner, len(brought)
