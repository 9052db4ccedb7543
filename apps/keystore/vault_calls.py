"""Call data of `KeystoreVault`, and what a wallet signs to escape with an account's money.

Token zero (20 zero bytes) is ether. Proofs are packed (`apps.keystore.proofs`); roots are those that the
vault recorded.
"""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode as abi_encode
from msgspec import Struct

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key

__all__ = [
    "BY_CALLER",
    "ETHER",
    "UNREGISTERED",
    "Escape",
    "EscapeOpening",
    "PaidDeposit",
    "authorize_by_exit",
    "authorize_by_owners",
    "authorize_by_signature",
    "compute_balance_tree_key",
    "compute_deposit_target",
    "compute_deposit_tree_key",
    "compute_escape_digest",
    "compute_exit_tree_key",
    "compute_withdrawal_tree_key",
    "encode_checkpoint",
    "encode_claim",
    "encode_claim_to",
    "encode_deposit",
    "encode_escape",
    "encode_freeze",
    "encode_op_stack_bridge_parameters",
    "encode_reclaim",
    "encode_registration",
]

ETHER: Final = bytes(20)
"""20 zero bytes in the place of a token."""

UNREGISTERED: Final = b"\x01"
"""Registration of a deposit: the key need not be registered. Money for a mistyped key is lost."""

BY_CALLER: Final = b"\x00"
"""Authorization of an escape: the sender of the transaction is the vk."""

_BALANCES: Final = 1
_WITHDRAWALS: Final = 3
_TOKENS: Final = 4
_TOKEN_WITHDRAWALS: Final = 5
_DEPOSITS: Final = 10
_EXITS: Final = 11

_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ESCAPE_TYPE: Final = b"Escape(bytes32 key,address token,address to)"
_MEMBER_TYPE: Final = b"Escape(bytes32 key,address token,address to,address sender)"
_DEPOSIT_TUPLE: Final = "(address,uint256,address,uint256)"
_OPENING_TUPLE: Final = "(bytes,bytes,bool,bytes32,bytes)"


class PaidDeposit(Struct, frozen=True):
    """A deposit, as the vault's event `Deposited` tells it."""

    token: bytes
    """20 bytes."""
    amount: int
    """What arrived at the vault."""
    refund_to: bytes
    """20 bytes: who gets it back if it is not credited."""
    entry: int
    """Its place in the inbox's queue, from 0."""


class EscapeOpening(Struct, frozen=True):
    """How an escape shows whose account it is."""

    data: bytes
    """The account's data itself: its hash would not say whether a recovery has locked the account."""
    vk: bytes
    is_exclusion: bool
    """Whether the account was never registered; then the proof is of its absence."""
    salt: bytes
    """32 bytes: what the key was made with; zeros for an inclusion."""
    proof: bytes
    """Packed."""


class Escape(Struct, frozen=True):
    """What is taken out of a frozen vault, and where to."""

    key: bytes
    """32 bytes: the account."""
    token: bytes
    """20 bytes."""
    to: bytes
    """20 bytes."""


def compute_balance_tree_key(token: bytes, key: bytes) -> bytes:
    """Where an account's balance of a token is in the tree."""
    return compute_tree_key(_BALANCES, key) if token == ETHER else compute_tree_key(_TOKENS, token + key)


def compute_withdrawal_tree_key(token: bytes, withdrawal_id: bytes) -> bytes:
    """Where a withdrawal is; its 32-byte id is `keccak256(key || number(32))`."""
    return compute_tree_key(_WITHDRAWALS if token == ETHER else _TOKEN_WITHDRAWALS, withdrawal_id)


def compute_deposit_tree_key(deposit_id: int) -> bytes:
    """Where a deposit is, if it was credited."""
    return compute_tree_key(_DEPOSITS, deposit_id.to_bytes(32, "big"))


def compute_exit_tree_key(key: bytes) -> bytes:
    """Where an account's exit is."""
    return compute_tree_key(_EXITS, key)


def _call(name: str, types: list[str], arguments: list[object]) -> bytes:
    return keccak256(f"{name}({','.join(types)})".encode())[:4] + abi_encode(types, arguments)


def compute_deposit_target(rollup_id: bytes, inbox: bytes, owner: bytes) -> bytes:
    """What a deposit names, 32 bytes: the rollup's id, or, where the inbox was made with an owner, id and inbox.

    Two inboxes may have one id and different owners; `owner` is the one that the inbox was made with, 20 bytes.
    """
    return keccak256(abi_encode(["bytes32", "address"], [rollup_id, inbox])) if any(owner) else rollup_id


def encode_registration(root: bytes, data_hash: bytes, vk_hash: bytes, proof: bytes) -> bytes:
    """Registration of a deposit to an account that is there: its two 32-byte hashes, and its inclusion under `root`."""
    return b"\x00" + root + data_hash + vk_hash + proof


def encode_deposit(
    token: bytes, key: bytes, amount: int, refund_to: bytes, rollup_id: bytes, registration: bytes = UNREGISTERED
) -> bytes:
    """The call that pays in; ether goes along as the transaction's value, which is `amount` then and 0 otherwise.

    `rollup_id` is what `compute_deposit_target` gives.
    """
    types = ["address", "bytes32", "uint256", "address", "bytes32", "bytes"]
    return _call("deposit", types, [token, key, amount, refund_to, rollup_id, registration])


def encode_checkpoint() -> bytes:
    """The call that records the root that the inbox holds; anybody may send it."""
    return _call("checkpoint", [], [])


def encode_claim(root: bytes, withdrawal_id: bytes, token: bytes, to: bytes, amount: int, proof: bytes) -> bytes:
    """The call that pays a withdrawal to whom it names; anybody may send it."""
    types = ["bytes32", "bytes32", "address", "address", "uint256", "bytes"]
    return _call("claim", types, [root, withdrawal_id, token, to, amount, proof])


def encode_claim_to(
    root: bytes, withdrawal_id: bytes, token: bytes, amount: int, proof: bytes, bridge: bytes, parameters: bytes
) -> bytes:
    """The call, by the address that a withdrawal names, that pays it into a bridge, by its adapter on L1."""
    types = ["bytes32", "bytes32", "address", "uint256", "bytes", "address", "bytes"]
    return _call("claimTo", types, [root, withdrawal_id, token, amount, proof, bridge, parameters])


def encode_op_stack_bridge_parameters(bridge: bytes, remote_token: bytes, to: bytes, min_gas_limit: int) -> bytes:
    """What `OpStackVaultBridge` takes: the chain's L1StandardBridge, the token there (zeros for ether), who gets it."""
    return abi_encode(["address", "address", "address", "uint32"], [bridge, remote_token, to, min_gas_limit])


def encode_reclaim(deposit_id: int, paid: PaidDeposit, root: bytes, proof: bytes) -> bytes:
    """The call that pays back a deposit that `proof` shows to be absent under `root`; anybody may send it."""
    packed = (paid.token, paid.amount, paid.refund_to, paid.entry)
    return _call("reclaim", ["uint64", _DEPOSIT_TUPLE, "bytes32", "bytes"], [deposit_id, packed, root, proof])


def encode_freeze() -> bytes:
    """The call that stops the vault for ever, after 86,400 L1 blocks of silence; anybody may send it."""
    return _call("freeze", [], [])


def encode_escape(
    escape: Escape, amount: int, opening: EscapeOpening, balance_proof: bytes, authorization: bytes = BY_CALLER
) -> bytes:
    """The call that pays an account's whole balance of a token, `amount`, under the root at which the vault froze."""
    types = ["bytes32", "address", "address", "uint256", _OPENING_TUPLE, "bytes", "bytes"]
    opened = (opening.data, opening.vk, opening.is_exclusion, opening.salt, opening.proof)
    arguments = [escape.key, escape.token, escape.to, amount, opened, balance_proof, authorization]
    return _call("escape", types, arguments)


def compute_escape_digest(escape: Escape, vault: bytes, chain_id: int, group: bytes = b"") -> bytes:
    """The 32 bytes that the account's vk signs (EIP-712, domain `{KeystoreVault, 1, L1's chain id, vault}`).

    For a group's members, `group` is its 20-byte sender.
    """
    domain_words = [keccak256(_DOMAIN_TYPE), keccak256(b"KeystoreVault"), keccak256(b"1"), chain_id, vault]
    domain = keccak256(abi_encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], domain_words))
    types, words = ["bytes32", "bytes32", "address", "address"], [escape.key, escape.token, escape.to]
    if group:
        struct = abi_encode([*types, "address"], [keccak256(_MEMBER_TYPE), *words, group])
    else:
        struct = abi_encode(types, [keccak256(_ESCAPE_TYPE), *words])
    return keccak256(b"\x19\x01" + domain + keccak256(struct))


def authorize_by_signature(signature: bytes) -> bytes:
    """Authorization by the vk's signature over the digest, in the form that the rollup stores or that wallets give."""
    return b"\x01" + signature


def authorize_by_owners(signatures: list[bytes]) -> bytes:
    """Authorization by the m owners of an account in Axiom's format, 65 bytes each."""
    return b"\x02" + b"".join(signatures)


def authorize_by_exit(previous: bytes, next_exit: bytes, effective: int, proof: bytes) -> bytes:
    """Authorization by the account's exit, as its leaf has it; the money goes to the one in force."""
    return b"\x03" + previous + next_exit + effective.to_bytes(8, "big") + proof
