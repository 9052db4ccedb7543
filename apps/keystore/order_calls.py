"""Orders (ERC-7683) as contracts see them: ids, places in the tree, call data of settlers and of the vault.

Token zero (20 zero bytes) is ether. Proofs are packed (`apps.keystore.proofs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_abi.abi import encode as abi_encode
from msgspec import Struct

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key

from .root_proofs import RootProof
from .smart_account.configuration import load_creation_code
from .vault_calls import EscapeOpening

__all__ = [
    "HeldOrder",
    "KeystoreOrder",
    "OrderOutput",
    "RollupOrder",
    "compute_fill_tree_key",
    "compute_foreign_order_id",
    "compute_order_digest",
    "compute_order_tree_key",
    "compute_output_hash",
    "encode_close",
    "encode_end_order",
    "encode_escape_order",
    "encode_fill",
    "encode_fill_claim",
    "encode_open",
    "encode_open_for",
    "encode_order_data",
    "encode_refund",
    "encode_settler_creation",
    "encode_verdicts_creation",
    "hash_open_order",
]

_ORDERS: Final = 8
_FILLS: Final = 9
_OPEN: Final = 1
_FIRST_OWN_NONCE: Final = 2**255

_DATA_TYPE: Final = (
    "KeystoreOrderData(address roots,bytes32 rollupId,address inputToken,uint256 inputAmount,bytes32 toKey,"
    "address outputToken,uint256 outputAmount)"
)
_GASLESS_TYPE: Final = (
    "GaslessCrossChainOrder(address originSettler,address user,uint256 nonce,uint256 originChainId,uint32 openDeadline,"
    "uint32 fillDeadline,bytes32 orderDataType,KeystoreOrderData orderData)"
) + _DATA_TYPE
_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_DATA: Final = ("address", "bytes32", "address", "uint256", "bytes32", "address", "uint256")
_ONCHAIN_TUPLE: Final = "(uint32,bytes32,bytes)"
_GASLESS_TUPLE: Final = "(address,address,uint256,uint256,uint32,uint32,bytes32,bytes)"
_HELD_TUPLE: Final = "(address,address,uint256,address,bytes32,uint64)"
_INBOX_TUPLE: Final = "(uint64,bytes,bytes[],bytes[],bytes[])"
_ORDER_TUPLE: Final = "(bytes32,address,uint256,uint64,bytes32,uint64)"
_OUTPUTS: Final = "(bytes32,uint256,bytes32,uint256)[]"
_OPENING_TUPLE: Final = "(bytes,bytes,bool,bytes32,bytes)"


class RollupOrder(Struct, frozen=True):
    """What an order from another chain into the keystore says besides its deadlines. Addresses have 20 bytes."""

    roots: bytes
    """The chain's `KeystoreRoots`, which the order believes."""
    rollup_id: bytes
    """32 bytes."""
    input_token: bytes
    input_amount: int
    """What is locked there, for the filler."""
    to_key: bytes
    """32 bytes: who is paid on the keystore."""
    output_token: bytes
    """As the vault on L1 has it."""
    output_amount: int


class HeldOrder(Struct, frozen=True):
    """What a settler holds for an order that was opened, as its event `Locked` tells it."""

    user: bytes
    token: bytes
    amount: int
    roots: bytes
    fill_id: bytes
    """32 bytes."""
    fill_deadline: int


class OrderOutput(Struct, frozen=True):
    """ERC-7683: so much of a token for somebody on a chain."""

    token: bytes
    """20 bytes; zeros: ether."""
    amount: int
    recipient: bytes
    """20 bytes."""
    chain_id: int


class KeystoreOrder(Struct, frozen=True):
    """An order out of the keystore, as its leaf has it while it is open."""

    key: bytes
    """32 bytes."""
    token: bytes
    """20 bytes."""
    amount: int
    chain_id: int
    output_hash: bytes
    """32 bytes: see `compute_output_hash`."""
    fill_deadline: int


def compute_order_tree_key(order_id: bytes) -> bytes:
    """Where an order out of the keystore is in the tree, by its 32-byte id."""
    return compute_tree_key(_ORDERS, order_id)


def compute_fill_tree_key(fill_id: bytes) -> bytes:
    """Where the fill of another chain's order is, by its 32-byte id."""
    return compute_tree_key(_FILLS, fill_id)


def compute_foreign_order_id(chain_id: int, settler: bytes, user: bytes, nonce: int, *, by_user: bool) -> bytes:
    """The id of an order of another chain. `nonce` is the one that the user signed, or, for an order that the user
    opened, how many of those came before.
    """
    number = nonce | _FIRST_OWN_NONCE if by_user else nonce
    return keccak256(abi_encode(["uint256", "address", "address", "uint256"], [chain_id, settler, user, number]))


def _pack_outputs(outputs: Sequence[OrderOutput]) -> list[tuple[bytes, int, bytes, int]]:
    return [
        (each.token.rjust(32, b"\0"), each.amount, each.recipient.rjust(32, b"\0"), each.chain_id) for each in outputs
    ]


def compute_output_hash(outputs: Sequence[OrderOutput]) -> bytes:
    """`keccak256(abi.encode(Output[]))`: what `OpenOrder` names."""
    return keccak256(abi_encode([_OUTPUTS], [_pack_outputs(outputs)]))


def _pack_order(order: KeystoreOrder) -> tuple[bytes, bytes, int, int, bytes, int]:
    return order.key, order.token, order.amount, order.chain_id, order.output_hash, order.fill_deadline


def hash_open_order(order: KeystoreOrder) -> bytes:
    """keccak256 of the order's leaf while it is open, by which settlers know it."""
    types = ["bytes32", "address", "uint256", "uint64", "bytes32", "uint64", "uint8"]
    return keccak256(abi_encode(types, [*_pack_order(order), _OPEN]))


def _call(name: str, types: list[str], arguments: list[object]) -> bytes:
    return keccak256(f"{name}({','.join(types)})".encode())[:4] + abi_encode(types, arguments)


# From another chain into the keystore


def encode_order_data(order: RollupOrder) -> bytes:
    """ERC-7683's `orderData`: seven words."""
    return abi_encode(list(_DATA), _list_data(order))


def _list_data(order: RollupOrder) -> list[object]:
    return [
        order.roots, order.rollup_id, order.input_token, order.input_amount, order.to_key, order.output_token,
        order.output_amount,
    ]  # fmt: skip


def encode_open(order: RollupOrder, fill_deadline: int) -> bytes:
    """The user's call that locks; ether goes along as the transaction's value."""
    words = (fill_deadline, keccak256(_DATA_TYPE.encode()), encode_order_data(order))
    return _call("open", [_ONCHAIN_TUPLE], [words])


def _pack_gasless(
    order: RollupOrder, settler: bytes, user: bytes, nonce: int, chain_id: int, deadlines: tuple[int, int]
) -> tuple[object, ...]:
    data = encode_order_data(order)
    return settler, user, nonce, chain_id, *deadlines, keccak256(_DATA_TYPE.encode()), data


def encode_open_for(
    order: RollupOrder,
    settler: bytes,
    user: bytes,
    nonce: int,
    chain_id: int,
    deadlines: tuple[int, int],
    signature: bytes,
) -> bytes:
    """Anybody's call that locks a user's tokens by his signature; `deadlines` are those to open and to fill."""
    words = _pack_gasless(order, settler, user, nonce, chain_id, deadlines)
    return _call("openFor", [_GASLESS_TUPLE, "bytes", "bytes"], [words, signature, b""])


def compute_order_digest(
    order: RollupOrder, settler: bytes, user: bytes, nonce: int, chain_id: int, deadlines: tuple[int, int]
) -> bytes:
    """The 32 bytes that the user signs (EIP-712, domain `{KeystoreSettler, 1, chain id, settler}`)."""
    words = list(_pack_gasless(order, settler, user, nonce, chain_id, deadlines))
    types = ["bytes32", "address", "address", "uint256", "uint256", "uint32", "uint32", "bytes32", "bytes32"]
    inner = keccak256(keccak256(_DATA_TYPE.encode()) + encode_order_data(order))
    struct = keccak256(abi_encode(types, [keccak256(_GASLESS_TYPE.encode()), *words[:7], inner]))
    domain_words = [keccak256(_DOMAIN_TYPE), keccak256(b"KeystoreSettler"), keccak256(b"1"), chain_id, settler]
    domain = keccak256(abi_encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], domain_words))
    return keccak256(b"\x19\x01" + domain + struct)


def _pack_held(held: HeldOrder) -> tuple[object, ...]:
    return held.user, held.token, held.amount, held.roots, held.fill_id, held.fill_deadline


def encode_fill_claim(order_id: bytes, held: HeldOrder, claimant: bytes, time: int, root: bytes, proof: bytes) -> bytes:
    """The call that pays who filled: his leaf's two members, and its inclusion under a root that the chain knows."""
    types = ["bytes32", _HELD_TUPLE, "address", "uint64", "bytes32", "bytes"]
    return _call("claim", types, [order_id, _pack_held(held), claimant, time, root, proof])


def encode_refund(order_id: bytes, held: HeldOrder, inbox: RootProof, proof: bytes) -> bytes:
    """The call that pays the user back: the inbox in an L1 block that the chain knows, and the fill's absence there."""
    shown = (inbox.number, inbox.header, list(inbox.account_proof), list(inbox.root_proof), list(inbox.head_proof))
    types = ["bytes32", _HELD_TUPLE, _INBOX_TUPLE, "bytes"]
    return _call("refund", types, [order_id, _pack_held(held), shown, proof])


# Out of the keystore


def encode_fill(order_id: bytes, order: KeystoreOrder, outputs: Sequence[OrderOutput], claimant: bytes) -> bytes:
    """The filler's call on the order's chain; the 20-byte claimant is paid on L1. Ether goes along as value."""
    origin = abi_encode([_ORDER_TUPLE, _OUTPUTS], [_pack_order(order), _pack_outputs(outputs)])
    return _call("fill", ["bytes32", "bytes", "bytes"], [order_id, origin, abi_encode(["address"], [claimant])])


def encode_close(order_id: bytes, order: KeystoreOrder, verdicts: bytes) -> bytes:
    """The call on the order's chain that tells L1's `OrderVerdicts` how it ended; anybody may send it."""
    return _call("close", ["bytes32", _ORDER_TUPLE, "address"], [order_id, _pack_order(order), verdicts])


def encode_end_order(order_id: bytes, order: KeystoreOrder, root: bytes, proof: bytes) -> bytes:
    """The call to the vault that tells the rollup; `proof` shows the open order under a recorded root. Anybody may."""
    types = ["bytes32", _ORDER_TUPLE, "bytes32", "bytes"]
    return _call("endOrder", types, [order_id, _pack_order(order), root, proof])


def encode_escape_order(
    order_id: bytes, order: KeystoreOrder, proof: bytes, to: bytes, opening: EscapeOpening, authorization: bytes
) -> bytes:
    """The call to a frozen vault that pays what an open order locked; `authorization` as of `encode_escape`."""
    types = ["bytes32", _ORDER_TUPLE, "bytes", "address", _OPENING_TUPLE, "bytes"]
    opened = (opening.data, opening.vk, opening.is_exclusion, opening.salt, opening.proof)
    return _call("escapeOrder", types, [order_id, _pack_order(order), proof, to, opened, authorization])


# Contracts


def encode_settler_creation(messenger: bytes | None) -> bytes:
    """The creation code of a chain's settler: OP-stack's with its messenger of 20 bytes, else Arbitrum's."""
    if messenger is None:
        return load_creation_code("ArbitrumSettler")
    return load_creation_code("OpStackSettler") + abi_encode(["address"], [messenger])


def encode_verdicts_creation(sources: Sequence[tuple[int, bytes]]) -> bytes:
    """The creation code of `OrderVerdicts`: chain ids with the 20-byte origins on L1 that know their settlers."""
    return load_creation_code("OrderVerdicts") + abi_encode(["(uint64,address)[]"], [list(sources)])
