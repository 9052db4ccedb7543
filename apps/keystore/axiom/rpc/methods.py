"""Axiom's 23 methods, in the roles node, sequencer and signature prover: `microrollup run APP --methods axiom`.

Params are positional. What is not there is -32001; what is refused, a transaction too, is -32602.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from microrollup import ZERO_BYTES32, Bytes, Bytes32, NodeView
from microrollup.errors import RefusedError, UsageError
from microrollup.node.errors import NotRecorded

from ...plus.axiom import AXIOM_GAS
from ...plus.prices import get_price
from ...plus.state import Plus
from ..transactions import DepositTransaction, UpdateTransaction, WithdrawTransaction, compute_transaction_hash
from .indexes import AXIOM_HASH, BLOCK_HASH, OUTPUT_ROOT, STATE_ROOT, axiom_blocks, list_names
from .lookups import (
    ENVELOPE,
    choose_height,
    describe_block,
    describe_proof,
    describe_receipt,
    describe_state_of,
    get_transaction,
    read_transaction,
)
from .prover import Prover, compute_request_hash, prove_sponsored, prove_transaction
from .shapes import (
    AccountProof,
    AuthenticationStatus,
    AuthInputs,
    BatchRef,
    CallResult,
    HexQuantity,
    L2Block,
    SponsoredAuthInputs,
    StateForm,
    SyncStatus,
    TransactionReceipt,
    WithdrawalProof,
    show_quantity,
)
from .simulation import simulate

__all__ = [
    "authenticate_sponsored_transaction",
    "authenticate_transaction",
    "block_number",
    "call",
    "estimate_gas",
    "estimate_l1_data_fee",
    "gas_price",
    "get_authentication_status",
    "get_balance",
    "get_batch_by_index",
    "get_block_by_hash",
    "get_block_by_number",
    "get_block_number_by_output_root",
    "get_block_number_by_state_root",
    "get_proof",
    "get_sponsored_authentication_status",
    "get_state_at",
    "get_transaction_by_hash",
    "get_transaction_count",
    "get_transaction_receipt",
    "get_withdrawal_proof",
    "send_raw_transaction",
    "sync_status",
]

_PROVER: Final = Prover()
"""Of this process. What it makes depends on the request alone."""


# Node


def sync_status(node: NodeView) -> SyncStatus:
    """The newest block, the newest on L1, and the newest as deep there as the node asks for."""
    return SyncStatus(*[describe_block(node, choose_height(node, tag)) for tag in ("latest", "committed", "finalized")])


def block_number(node: NodeView) -> HexQuantity:
    """The newest closed block's number."""
    return show_quantity(node.height)


def get_balance(node: NodeView, address: Bytes32, block: str = "latest") -> HexQuantity:
    """Ether of a keystore address, in wei."""
    return show_quantity(_read_state(node, block).vault.balances.get(address, 0))


def get_transaction_count(node: NodeView, address: Bytes32, block: str = "latest") -> HexQuantity:
    """The nonce of an address's next transaction."""
    return show_quantity(_read_state(node, block).vault.axiom_nonces.get(address, 0))


def get_state_at(node: NodeView, address: Bytes32, block: str = "latest") -> StateForm:
    """What is authoritative for an address; zeros where only the address commits to it."""
    return describe_state_of(_read_state(node, block).keystore.accounts.get(address))


def get_proof(node: NodeView, address: Bytes32, block: str = "latest") -> AccountProof:
    """The same with its proof under the block's state root, or the proof that there is nothing."""
    height = choose_height(node, block)
    account = node.view(height).state.keystore.accounts.get(address)
    return AccountProof(
        describe_state_of(account), describe_proof(node, node.prove("keystore.accounts", address, height))
    )


def get_withdrawal_proof(node: NodeView, withdrawal_hash: Bytes32, block: str = "latest") -> WithdrawalProof:
    """A withdrawal by keccak256(address || nonce) with its proof under the block's state root."""
    height = choose_height(node, block)
    shown = node.prove("vault.withdrawals", withdrawal_hash, height)
    proof = describe_proof(node, shown)
    if not shown.exists or not shown.value:
        return WithdrawalProof(proof)
    return WithdrawalProof(proof, shown.value[:20], show_quantity(int.from_bytes(shown.value[20:], "big")))


def call(node: NodeView, transaction: Bytes, block: str = "latest") -> CallResult:
    """What a proven transaction would do after a block; nothing is kept."""
    return simulate(node, transaction, choose_height(node, block))


def get_transaction_by_hash(node: NodeView, transaction_hash: Bytes32) -> Any:
    """A transaction, or a deposit, of a closed block."""
    return get_transaction(node, transaction_hash)


def get_transaction_receipt(node: NodeView, transaction_hash: Bytes32) -> TransactionReceipt:
    """What became of it, and what it cost: `gas * gasPrice + l1DataFee` wei."""
    return describe_receipt(node, transaction_hash)


def get_block_by_number(node: NodeView, block: str, full: bool) -> L2Block:
    """A block with its transactions, as hashes or in full."""
    return describe_block(node, choose_height(node, block), full=full)


def get_block_by_hash(node: NodeView, block_hash: Bytes32, full: bool) -> L2Block:
    """The same by the hash of Axiom's seven words, or by the rollup's own hash."""
    height = _find_block(node, (AXIOM_HASH, BLOCK_HASH), block_hash)
    if height is None:
        raise NotRecorded(f"there is no block 0x{block_hash.hex()}")
    return describe_block(node, height, full=full)


def get_block_number_by_state_root(node: NodeView, state_root: Bytes32) -> HexQuantity:
    """The newest block with a state root."""
    return _get_number(node, STATE_ROOT, state_root)


def get_block_number_by_output_root(node: NodeView, output_root: Bytes32) -> HexQuantity:
    """The block with an output root."""
    return _get_number(node, OUTPUT_ROOT, output_root)


def get_batch_by_index(node: NodeView, batch: str = "committed") -> BatchRef:
    """The batch that ends with a block: its index is the block's number, as in the bridge."""
    if batch == "latest":
        raise UsageError("a batch is committed, finalized, earliest or a number")
    height = choose_height(node, batch)
    header = node.get_header(height)
    number, kind = show_quantity(height), "sequencer" if height else "genesis"
    return BatchRef(number, number, show_quantity(header.forced_count), number, kind)


# Sequencer


def send_raw_transaction(node: NodeView, transaction: Bytes) -> Bytes32:
    """Take a transaction; returns its hash when it is durable. A second time it is refused."""
    transaction_hash = compute_transaction_hash(transaction)
    try:
        node.get_receipt(transaction_hash, ENVELOPE)
    except NotRecorded:
        pass
    else:
        raise UsageError("known transaction")
    line = msgspec.json.encode({"envelope": ENVELOPE, "raw": f"0x{transaction.hex()}"})
    try:
        node.submit(line)
    except RefusedError as error:
        raise UsageError(f"{error.code}: {error.detail}") from None
    return transaction_hash


def gas_price(node: NodeView) -> HexQuantity:
    """The least `feePerGas`, in wei."""
    view = node.view()
    state: Plus = view.state
    return show_quantity(get_price(state.fees.axiom.minimum, view.timestamp))


def estimate_gas(node: NodeView, transaction: Bytes) -> HexQuantity:
    """Gas of an UPDATE or a WITHDRAW."""
    _require_sent(transaction)
    return show_quantity(AXIOM_GAS)


def estimate_l1_data_fee(node: NodeView, transaction: Bytes, block: str = "latest") -> HexQuantity:
    """Wei for the bytes of a transaction; without its proofs it has fewer than it will."""
    _require_sent(transaction)
    view = node.view(choose_height(node, block))
    state: Plus = view.state
    price = get_price(state.fees.axiom.per_byte, view.timestamp)
    return show_quantity(0 if state.config.collector == ZERO_BYTES32 else len(transaction) * price)


# Signature prover


def authenticate_transaction(node: NodeView, transaction: Bytes, auth_inputs: AuthInputs) -> Bytes32:
    """Let the prover make the user's proof; returns by which hash the outcome is asked for."""
    sent = _require_sent(transaction)
    request_hash = compute_request_hash(transaction, auth_inputs)
    _PROVER.submit(request_hash, _measure(transaction, auth_inputs), lambda: prove_transaction(sent, auth_inputs))
    return request_hash


def get_authentication_status(node: NodeView, request_hash: Bytes32) -> AuthenticationStatus | None:
    """How far such a request is; null for an unknown one."""
    return _PROVER.get(request_hash)


def authenticate_sponsored_transaction(
    node: NodeView,
    transaction: Bytes,
    sponsored_auth_inputs: SponsoredAuthInputs,
) -> Bytes32:
    """Let the prover make the proofs of an update that names a sponsor."""
    sent = _require_sent(transaction)
    if not isinstance(sent, UpdateTransaction) or sent.sponsor is None:
        raise UsageError("only an UPDATE that names a sponsor can be sponsored")
    request_hash = compute_request_hash(transaction, sponsored_auth_inputs)
    _PROVER.submit(
        request_hash,
        _measure(transaction, sponsored_auth_inputs),
        lambda: prove_sponsored(sent, sponsored_auth_inputs),
    )
    return request_hash


def get_sponsored_authentication_status(
    node: NodeView,
    request_hash: Bytes32,
) -> AuthenticationStatus | None:
    """How far such a request is; null for an unknown one."""
    return _PROVER.get(request_hash)


def _read_state(node: NodeView, block: str) -> Plus:
    state: Plus = node.view(choose_height(node, block)).state
    return state


def _find_block(node: NodeView, kinds: tuple[int, ...], value: bytes) -> int | None:
    """The height that a hash or a root leads to. An index lacks a genesis without entries, and the newest own hash."""
    rows = node.index(axiom_blocks)
    for kind in kinds:
        height = rows.get((kind, value))
        if height is not None:
            return height
    for header in (node.get_header(), node.get_header(0)):
        found = {BLOCK_HASH: header.hash, **list_names(header, node.first_builder)}
        if any(found.get(kind) == value for kind in kinds):
            return header.height
    return None


def _get_number(node: NodeView, kind: int, value: bytes) -> HexQuantity:
    height = _find_block(node, (kind,), value)
    if height is None:
        raise NotRecorded(f"no block has the root 0x{value.hex()}")
    return show_quantity(height)


def _require_sent(raw: bytes) -> UpdateTransaction | WithdrawTransaction:
    transaction = read_transaction(raw)
    if isinstance(transaction, DepositTransaction):
        raise UsageError("a deposit comes from L1 only")
    return transaction


def _measure(transaction: bytes, inputs: msgspec.Struct) -> int:
    return len(transaction) + len(msgspec.json.encode(inputs))
