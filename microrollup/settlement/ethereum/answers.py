"""What a node's answers must look like, and the values in them. Unknown members are ignored; nodes have many."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Final, TypeVar

import msgspec

from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.header_hash import compute_header_hash

__all__ = [
    "L1Block",
    "L1Log",
    "L1Receipt",
    "L1Transaction",
    "parse_block",
    "parse_bytes",
    "parse_logs",
    "parse_quantity",
    "parse_receipt",
    "parse_transaction",
]

_MAX_LOGS: Final = 100_000

Quantity = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{1,64}\Z")]
_Number = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{1,14}\Z")]
"""Of a block, an index or a time: no node counts further than 2^56."""
_Hash = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{64}\Z")]
_Address = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
Data = Annotated[str, msgspec.Meta(pattern=r"^0x(?:[0-9a-fA-F]{2})*\Z")]

T = TypeVar("T")


class L1Block(msgspec.Struct, frozen=True):
    """What is kept of an L1 block's header."""

    number: int
    hash: bytes
    parent_hash: bytes
    time: int
    """Seconds."""
    base_fee: int
    """Wei a gas."""
    is_bound: bool = False
    """Whether the hash is that of the header, as on Ethereum: then it stands for the time too."""


class L1Log(msgspec.Struct, frozen=True):
    """An event as L1 keeps it."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


class L1Transaction(msgspec.Struct, frozen=True):
    """A transaction, pending while `number` is `None`."""

    hash: bytes
    sender: bytes
    to: bytes | None
    input: bytes
    number: int | None
    blob_hashes: tuple[bytes, ...]
    gas: int = 0
    """What its sender allows; 0 where the node does not say."""


class L1Receipt(msgspec.Struct, frozen=True):
    """What became of an included transaction."""

    transaction_hash: bytes
    succeeded: bool
    number: int
    contract: bytes | None
    gas_used: int
    blob_gas_used: int
    logs: tuple[L1Log, ...]
    """Of all contracts, in order."""


class _BlockForm(msgspec.Struct, rename="camel"):
    number: _Number
    hash: _Hash
    parent_hash: _Hash
    timestamp: _Number
    base_fee_per_gas: Quantity = "0x0"


class _LogForm(msgspec.Struct, rename="camel"):
    address: _Address
    topics: Annotated[list[_Hash], msgspec.Meta(max_length=4)]
    data: Data
    block_number: _Number
    block_hash: _Hash
    transaction_hash: _Hash
    log_index: _Number
    removed: bool = False


class _TransactionForm(msgspec.Struct, rename="camel"):
    hash: _Hash
    input: Data
    from_: _Address = msgspec.field(name="from")
    to: _Address | None = None
    gas: _Number = "0x0"
    block_number: _Number | None = None
    blob_versioned_hashes: Annotated[list[_Hash], msgspec.Meta(max_length=64)] = []


class _ReceiptForm(msgspec.Struct, rename="camel"):
    transaction_hash: _Hash
    status: _Number
    block_number: _Number
    gas_used: _Number
    contract_address: _Address | None = None
    blob_gas_used: _Number = "0x0"
    logs: Annotated[list[_LogForm], msgspec.Meta(max_length=1000)] = []


def parse_quantity(what: str, answer: Any) -> int:
    """An integer of at most 256 bits. Raises `L1BadAnswer`, like everything here."""
    return int(_convert(what, answer, Quantity), 16)


def parse_bytes(what: str, answer: Any, limit: int) -> bytes:
    """Bytes, at most `limit` of them."""
    if isinstance(answer, str) and len(answer) > 2 * limit + 2:
        raise L1BadAnswer(what, f"more than {limit} bytes")
    return _to_bytes(_convert(what, answer, Data))


def parse_block(answer: Any, number: int | None = None) -> L1Block:
    """A block's header; that of `number` if one was asked for by number."""
    form = _convert("block", answer, _BlockForm)
    block = L1Block(
        int(form.number, 16),
        _to_bytes(form.hash),
        _to_bytes(form.parent_hash),
        int(form.timestamp, 16),
        int(form.base_fee_per_gas, 16),
        compute_header_hash(answer) == _to_bytes(form.hash),
    )
    if number is not None and block.number != number:
        raise L1BadAnswer("block", f"number {block.number}, asked was for {number}")
    return block


def parse_logs(answer: Any, address: bytes, first: int, last: int) -> list[L1Log]:
    """The events of one contract in blocks `first ..= last`, in their order on L1."""
    forms = _convert("logs", answer, Annotated[list[_LogForm], msgspec.Meta(max_length=_MAX_LOGS)])
    logs = [_to_log(form) for form in forms if not form.removed]
    places = [(log.number, log.log_index) for log in logs]
    if any(place >= other for place, other in pairwise(places)):
        raise L1BadAnswer("logs", "not in the order of L1")
    for log in logs:
        if log.address != address or not first <= log.number <= last:
            raise L1BadAnswer("logs", f"an event of 0x{log.address.hex()} in block {log.number}, not asked for")
    return logs


def _to_log(form: _LogForm) -> L1Log:
    return L1Log(
        _to_bytes(form.address),
        tuple([_to_bytes(topic) for topic in form.topics]),
        _to_bytes(form.data),
        int(form.block_number, 16),
        _to_bytes(form.block_hash),
        _to_bytes(form.transaction_hash),
        int(form.log_index, 16),
    )


def parse_transaction(answer: Any, transaction_hash: bytes) -> L1Transaction | None:
    """The transaction of this hash; `None` if the node does not know it."""
    if answer is None:
        return None
    form = _convert("transaction", answer, _TransactionForm)
    if _to_bytes(form.hash) != transaction_hash:
        raise L1BadAnswer("transaction", f"{form.hash}, asked was for 0x{transaction_hash.hex()}")
    return L1Transaction(
        transaction_hash,
        _to_bytes(form.from_),
        None if form.to is None else _to_bytes(form.to),
        _to_bytes(form.input),
        None if form.block_number is None else int(form.block_number, 16),
        tuple([_to_bytes(item) for item in form.blob_versioned_hashes]),
        int(form.gas, 16),
    )


def parse_receipt(answer: Any, transaction_hash: bytes) -> L1Receipt | None:
    """The receipt of this transaction; `None` while it is not included."""
    if answer is None:
        return None
    form = _convert("receipt", answer, _ReceiptForm)
    if _to_bytes(form.transaction_hash) != transaction_hash:
        raise L1BadAnswer("receipt", f"of {form.transaction_hash}, asked was for 0x{transaction_hash.hex()}")
    return L1Receipt(
        transaction_hash,
        int(form.status, 16) == 1,
        int(form.block_number, 16),
        None if form.contract_address is None else _to_bytes(form.contract_address),
        int(form.gas_used, 16),
        int(form.blob_gas_used, 16),
        tuple([_to_log(log) for log in form.logs]),
    )


def _convert(what: str, answer: Any, form: Any) -> Any:
    try:
        return msgspec.convert(_drop_nulls(answer), type=form)
    except (msgspec.ValidationError, RecursionError) as error:
        raise L1BadAnswer(what, str(error)) from None


def _drop_nulls(answer: Any) -> Any:
    """`null` stands for a member that is absent: nodes write either. Logs within are objects of their own."""
    if isinstance(answer, list):
        return [_drop_nulls(item) if isinstance(item, dict) else item for item in answer]
    if not isinstance(answer, dict):
        return answer
    known = {name: value for name, value in answer.items() if value is not None}
    if isinstance(known.get("logs"), list):
        known["logs"] = _drop_nulls(known["logs"])
    return known


def _to_bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
