"""Transactions are signed over their own encoding, by a key here or a signer elsewhere, as eth-account signs them."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from eth_account import Account

from microrollup.crypto.ecdsa import load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.keys.remote import RemoteKey
from microrollup.settlement.ethereum.fees import Fees
from microrollup.settlement.ethereum.kzg import make_sidecar
from microrollup.settlement.ethereum.transaction import TransactionRequest, Wrapper, sign_transaction
from signer_double import run_signer

KEY = load_private_key(keccak256(b"who pays"))
FEES = Fees(3, 10**9, 7)


@pytest.mark.parametrize(
    "call",
    [
        TransactionRequest(b"\x11" * 20, b"\x00data", 21_000),
        TransactionRequest(None, b"", 1, value=10**18),
        TransactionRequest(b"\x00" * 20, bytes(300), 500_000, make_sidecar([bytes(131_072)])),
    ],
    ids=["call", "creation", "blobs"],
)
def test_a_transaction_is_what_eth_account_signs(call: TransactionRequest) -> None:
    """Type 2 and type 3, byte for byte, without the blobs' wrapper."""
    fields: dict[str, Any] = {
        "type": 2, "chainId": 5, "nonce": 130, "maxPriorityFeePerGas": FEES.tip, "maxFeePerGas": FEES.cap,
        "gas": call.gas, "value": call.value, "data": call.data, "accessList": [],
    }  # fmt: skip
    if call.to is not None:
        fields["to"] = call.to
    if call.sidecar is not None:
        hashes = list(call.sidecar.versioned_hashes)
        fields |= {"type": 3, "maxFeePerBlobGas": FEES.blob_cap, "blobVersionedHashes": hashes}
    expected = Account.sign_transaction(fields, KEY.secret)
    signed = sign_transaction(KEY, call, 5, 130, FEES, None, "cells")
    assert (bytes(expected.raw_transaction), bytes(expected.hash)) == (signed.raw, signed.hash)
    wrapper = None if call.sidecar is None else Wrapper(call.sidecar)
    with run_signer(KEY) as double, closing(RemoteKey.open(double.url)) as remote:
        assert sign_transaction(KEY, call, 5, 130, FEES, wrapper, "cells") == sign_transaction(
            remote, call, 5, 130, FEES, wrapper, "cells"
        )
