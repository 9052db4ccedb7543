"""What a settled batch cost on L1."""

from __future__ import annotations

import msgspec

from microrollup.settlement.ethereum.answers import parse_receipt, parse_transaction
from microrollup.settlement.ethereum.errors import L1BadAnswer
from microrollup.settlement.ethereum.transport import L1Transport

__all__ = ["TransactionCost", "read_cost"]


class TransactionCost(msgspec.Struct, frozen=True):
    """Of one transaction."""

    transaction_hash: bytes
    l1_number: int
    gas: int
    """All that it paid for but blobs, the calldata's floor of EIP-7623 included."""
    blob_gas: int
    """131,072 a blob (EIP-4844)."""
    gas_limit: int
    """What the sender allowed, so what its balance had to cover."""
    calldata_bytes: int
    blobs: int


async def read_cost(transport: L1Transport, transaction_hash: bytes) -> TransactionCost:
    """Raises `L1Error`s, `L1BadAnswer` for a transaction that is not included."""
    where = f"0x{transaction_hash.hex()}"
    answers = await transport.ask_many([("eth_getTransactionReceipt", [where]), ("eth_getTransactionByHash", [where])])
    receipt, transaction = parse_receipt(answers[0], transaction_hash), parse_transaction(answers[1], transaction_hash)
    if receipt is None or transaction is None:
        raise L1BadAnswer("receipt", f"{where} is not included")
    return TransactionCost(
        transaction_hash=transaction_hash,
        l1_number=receipt.number,
        gas=receipt.gas_used,
        blob_gas=receipt.blob_gas_used,
        gas_limit=transaction.gas,
        calldata_bytes=len(transaction.input),
        blobs=len(transaction.blob_hashes),
    )
