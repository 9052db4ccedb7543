"""Blocks, transactions and proofs of a running node, in Axiom's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from microrollup import ZERO_BYTES32, NodeView, Revert
from microrollup.chain.answers.actions import ReceiptAnswer
from microrollup.chain.answers.state import StateProofAnswer
from microrollup.chain.block import Header
from microrollup.chain.envelope_record import decode_envelope_record, is_envelope_record
from microrollup.codec.document import to_document
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Leaf, compute_leaf_hash
from microrollup.declaration.state import StateType, describe_state
from microrollup.errors import UsageError
from microrollup.execution.entry import decode_forced, is_forced_record
from microrollup.execution.payload import FORCED_FORMAT
from microrollup.node.errors import NotRecorded

from ...accounts import Account
from ...plus.state import Plus
from ..blocks import compute_axiom_block_hash, compute_sequencer_address
from ..transactions import (
    AxiomAccount,
    AxiomTransaction,
    DepositTransaction,
    UpdateTransaction,
    WithdrawTransaction,
    compute_transaction_hash,
    decode_transaction,
    encode_account,
)
from .indexes import ENVELOPE_PREFIX, axiom_leaves, axiom_queue, compute_deposit_hash
from .shapes import (
    AccountForm,
    DepositForm,
    ImtLeaf,
    ImtProof,
    ImtSibling,
    L2Block,
    StateForm,
    TransactionReceipt,
    UpdateForm,
    WithdrawForm,
    show_quantity,
)

__all__ = [
    "ENVELOPE",
    "choose_height",
    "describe_block",
    "describe_proof",
    "describe_receipt",
    "describe_state_of",
    "describe_transaction",
    "find_transaction",
    "read_number",
    "read_transaction",
]

ENVELOPE: Final = "axiom"

_QUANTITY: Final = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]{0,15})")
_DEPOSIT: Final = "Deposit"
_STATE: Final[StateType] = describe_state(Plus)
_SETTLED: Final = {field.number: field for field in _STATE.fields if field.settled}

_STATUSES: Final = {"C3A": "L2Included_L1Included", "C3B": "L2Finalized_L1Finalized"}
"""Level of confirmation -> status of an executed transaction; below, its block is not on L1 yet."""


def read_number(text: str) -> int:
    """The integer of a quantity of at most 64 bits. Raises `UsageError`."""
    if _QUANTITY.fullmatch(text) is None:
        raise UsageError(f"{text[:80]!r} is neither a tag nor a 0x-hex number without leading zeros")
    return int(text, 16)


def choose_height(node: NodeView, tag: str) -> int:
    """The height of a closed block by tag or number. Raises `UsageError`, `NotRecorded`."""
    match tag:
        case "latest":
            return node.height
        case "committed":
            return node.heights.available
        case "finalized":
            return node.heights.settled
        case "earliest":
            return 0
        case _:
            height = read_number(tag)
    if height > node.height:
        raise NotRecorded(f"there is no block {height}")
    return height


# Blocks


def describe_block(node: NodeView, height: int, *, full: bool | None = None) -> L2Block:
    """A block; with its transactions as hashes or in full unless `full` is None."""
    if full is None:
        return _make_block(node, node.get_header(height))
    header = node.get_header(height)
    shown = _make_block(node, header)
    found = _list_transactions(node, header)
    transactions: list[Any] = [f"0x{each.hash.hex()}" for each in found]
    if full:
        transactions = [describe_transaction(each, shown, each.seq - header.first_seq) for each in found]
    return replace(shown, transactions=transactions)


def _make_block(node: NodeView, header: Header) -> L2Block:
    sequencer = compute_sequencer_address(node.first_builder)
    return L2Block(
        hash=compute_axiom_block_hash(header, sequencer),
        number=show_quantity(header.height),
        parent_hash=header.parent_hash,
        timestamp=show_quantity(header.timestamp),
        sequencer_keystore_address=sequencer,
        state_root=header.state_root,
        withdrawals_root=header.state_root,
        transactions_root=header.actions_root,
        l1_origin=show_quantity(header.l1_origin),
    )


# Transactions


class FoundTransaction:
    """A transaction in the log, of Axiom's format or a deposit of ether."""

    __slots__ = ("hash", "seq", "transaction")

    def __init__(self, seq: int, hash_: bytes, transaction: AxiomTransaction | None) -> None:
        self.seq = seq
        self.hash = hash_
        """32 bytes."""
        self.transaction = transaction
        """None for forced bytes that hold something else."""


def read_transaction(raw: bytes) -> AxiomTransaction:
    """The transaction of its bytes. Raises `UsageError` that says what is wrong with them."""
    try:
        return decode_transaction(raw)
    except Revert as error:
        raise UsageError(error.reason) from None


def find_transaction(node: NodeView, transaction_hash: bytes) -> ReceiptAnswer:
    """The receipt of a transaction by its hash. Raises `NotRecorded` for one in no closed block."""
    try:
        receipt = node.get_receipt(transaction_hash, ENVELOPE)
    except NotRecorded:
        seq = node.index(axiom_queue).get(transaction_hash)
        if seq is None:
            raise NotRecorded(f"there is no transaction 0x{transaction_hash.hex()}") from None
        receipt = node.get_receipt(seq)
    if receipt.height > node.height:
        raise NotRecorded(f"0x{transaction_hash.hex()} is in no closed block yet")
    return receipt


def _list_transactions(node: NodeView, header: Header) -> list[FoundTransaction]:
    """Those of a block, in order; what does not decode is left out."""
    records = enumerate(node.get_records(header.height), header.first_seq)
    found = [_read_record(node, seq, record) for seq, record in records]
    return [each for each in found if each is not None and each.transaction is not None]


def _find_logged(node: NodeView, header: Header, seq: int) -> FoundTransaction:
    found = _read_record(node, seq, node.get_records(header.height)[seq - header.first_seq])
    if found is None:
        raise NotRecorded(f"the entry {seq} is of another kind")
    return found


def _read_record(node: NodeView, seq: int, record: bytes) -> FoundTransaction | None:
    """The transaction that an entry of the log is; None for any other entry."""
    if is_envelope_record(record):
        envelope = decode_envelope_record(record)
        return _read_raw(seq, envelope.raw) if envelope.name == ENVELOPE else None
    if not is_forced_record(record):
        return None
    forced = decode_forced(record)
    if forced.payload.startswith(ENVELOPE_PREFIX):
        return _read_raw(seq, forced.payload[len(ENVELOPE_PREFIX) :])
    if not forced.payload.startswith(FORCED_FORMAT):
        return None
    action = node.get_action(seq)
    if action.type != _DEPOSIT or int(action.message["token"], 16) != 0:
        return None
    amount, key = int(action.message["amount"]), bytes.fromhex(action.message["key"][2:])
    deposit = DepositTransaction(forced.index, amount, key)
    return FoundTransaction(seq, compute_deposit_hash(forced.index, amount, key), deposit)


def _read_raw(seq: int, raw: bytes) -> FoundTransaction:
    try:
        transaction: AxiomTransaction | None = decode_transaction(raw)
    except Revert:
        transaction = None
    return FoundTransaction(seq, compute_transaction_hash(raw), transaction)


def describe_transaction(found: FoundTransaction, block: L2Block, place: int) -> dict[str, Any]:
    """A transaction at its place in its block. Raises `NotRecorded` for forced bytes that do not decode."""
    where = (found.hash, show_quantity(place), block.hash, block.number)
    match found.transaction:
        case DepositTransaction(l1_nonce, amount, key):
            form: Any = DepositForm(*where, show_quantity(l1_nonce), show_quantity(amount), key)
        case WithdrawTransaction() as sent:
            form = WithdrawForm(
                *where, *_describe_head(sent), sent.to, show_quantity(sent.amount), _describe_account(sent.user),
                sent.user_proof,
            )  # fmt: skip
        case UpdateTransaction() as sent:
            form = UpdateForm(
                *where, *_describe_head(sent), sent.new_data, sent.new_vkey, _describe_account(sent.user),
                sent.user_proof, b"" if sent.sponsor is None else encode_account(sent.sponsor), sent.sponsor_proof,
            )  # fmt: skip
        case _:
            raise NotRecorded(f"what came through L1 as 0x{found.hash.hex()} does not decode as a transaction")
    return to_document(form)


def _describe_head(sent: WithdrawTransaction | UpdateTransaction) -> tuple[bool, str, bytes, bytes]:
    nonce = b"" if sent.l1_nonce is None else sent.l1_nonce.to_bytes(32, "big")
    return sent.l1_nonce is not None, show_quantity(sent.nonce), sent.fee_per_gas, nonce


def _describe_account(account: AxiomAccount) -> AccountForm:
    return AccountForm(account.keystore_address, account.salt, account.data_hash, account.vkey)


def describe_receipt(node: NodeView, transaction_hash: bytes) -> TransactionReceipt:
    """What became of a transaction. Raises `NotRecorded`."""
    receipt = find_transaction(node, transaction_hash)
    header = node.get_header(receipt.height)
    shown = _make_block(node, header)
    executed = receipt.status == "executed"
    status = _STATUSES.get(receipt.confirmation, "L2Included_L1Pending") if executed else "Failed"
    answer: dict[str, Any] = {}
    for event in receipt.events:
        if event.name == "AxiomFeePaid" and event.fields:
            answer["gas"] = show_quantity(int(event.fields["gas"]))
            answer["gas_price"] = show_quantity(int(event.fields["gasPrice"]))
            answer["l1_data_fee"] = show_quantity(int(event.fields["l1DataFee"]))
    transaction = _find_logged(node, header, receipt.seq).transaction
    if isinstance(transaction, (DepositTransaction, WithdrawTransaction)):
        answer["amount"] = show_quantity(transaction.amount)
    place = show_quantity(receipt.seq - header.first_seq)
    return TransactionReceipt(transaction_hash, shown.hash, shown.number, place, status, **answer)


def get_transaction(node: NodeView, transaction_hash: bytes) -> dict[str, Any]:
    """A transaction by its hash. Raises `NotRecorded`."""
    receipt = find_transaction(node, transaction_hash)
    header = node.get_header(receipt.height)
    found = _find_logged(node, header, receipt.seq)
    return describe_transaction(found, _make_block(node, header), receipt.seq - header.first_seq)


# State


def describe_state_of(account: Account | None) -> StateForm:
    """What the state holds of an account."""
    if account is None:
        return StateForm(ZERO_BYTES32, ZERO_BYTES32, b"", b"")
    return StateForm(keccak256(account.data), keccak256(account.vk), account.data, account.vk)


def describe_proof(node: NodeView, shown: StateProofAnswer) -> ImtProof:
    """A proof as Axiom's clients fold it, with the value of the leaf that it begins at."""
    leaf = shown.leaf
    value = shown.value if shown.exists and shown.value is not None else _read_leaf_value(node, leaf, shown.height)
    return ImtProof(
        not shown.exists,
        [ImtSibling(sibling, bool(shown.is_left >> place & 1)) for place, sibling in enumerate(shown.siblings)],
        ImtLeaf(
            compute_leaf_hash(leaf), bytes([leaf.prefix]), leaf.key, bytes([leaf.next_prefix]), leaf.next_key, value
        ),
    )


def _read_leaf_value(node: NodeView, leaf: Leaf, height: int) -> bytes:
    """The value bytes of any leaf: of a deleted entry and of the dummy none."""
    if leaf.prefix == 0:
        return b""
    silo, encoded = node.index(axiom_leaves, height)[leaf.key]
    field = _SETTLED[silo]
    encode: Callable[[Any], bytes] = field.encode_leaf
    held = field.read(node.view(height).state).get(field.decode_key(encoded))
    return b"" if held is None else encode(held)
