"""EOAs that delegate (EIP-7702): authorizations, and transactions that carry them."""

from __future__ import annotations

from typing import Any

import rlp  # type: ignore[import-untyped]

from account_world import address_of, make_key, show
from apps.keystore.smart_account import compute_set_key_digest, encode_set_key, sign_ecdsa
from contract_calls import _send as send_transaction
from microrollup.crypto.keccak import keccak256
from microrollup.testing.anvil import Anvil

__all__ = ["authorize", "delegate_by", "set_key_by"]


def authorize(anvil: Anvil, name: str, delegate: bytes) -> dict[str, Any]:
    """EIP-7702's authorization by the EOA of a name, for its next transaction; 20 zeros take it back."""
    chain_id = int(anvil.call("eth_chainId"), 16)
    nonce = int(anvil.call("eth_getTransactionCount", show(address_of(name)), "latest"), 16)
    signature = sign_ecdsa(make_key(name), keccak256(b"\5" + rlp.encode([chain_id, delegate, nonce])))
    return {
        "chainId": hex(chain_id), "address": show(delegate), "nonce": hex(nonce),
        "yParity": hex(signature[64] - 27),
        "r": hex(int.from_bytes(signature[:32], "big")), "s": hex(int.from_bytes(signature[32:64], "big")),
    }  # fmt: skip


def delegate_by(anvil: Anvil, sender: str, name: str, delegate: bytes, data: bytes = b"") -> bytes:
    """Somebody's transaction delegates the EOA of a name, and calls it with data if there are any: the EOA."""
    account = address_of(name)
    carrier = {
        "from": sender, "to": show(account) if data else sender, "data": show(data),
        "authorizationList": [authorize(anvil, name, delegate)],
    }  # fmt: skip
    send_transaction(anvil, carrier)
    code = anvil.call("eth_getCode", show(account), "latest")
    assert code == (f"0xef0100{delegate.hex()}" if any(delegate) else "0x")
    return account


def set_key_by(anvil: Anvil, name: str, delegate: bytes, key: bytes, sequence: int = 1) -> bytes:
    """The call by which the EOA of a name lives by a key."""
    chain_id = int(anvil.call("eth_chainId"), 16)
    digest = compute_set_key_digest(address_of(name), delegate, key, sequence, chain_id)
    return encode_set_key(key, sequence, sign_ecdsa(make_key(name), digest))
