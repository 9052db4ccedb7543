"""Calls of the keystore's module: what accounts with modules take."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode

from apps.keystore.smart_account.module_calls import (
    compute_kernel_nonce_key,
    compute_module_nonce_key,
    compute_nexus_nonce_key,
    encode_install,
    encode_kernel_install,
    encode_module_signature,
    encode_push_root_of,
)
from contract_calls import Contract
from l1_fixtures import Anvil
from microrollup.contracts import load_artifact
from microrollup.errors import UsageError

MODULE, ACCOUNT, KEY = b"\x11" * 20, b"\x22" * 20, b"\x33" * 32


def test_install() -> None:
    """Type 1, the module, and the key as the module decodes it."""
    call = encode_install(MODULE, KEY)
    assert "9517e29f" == call[:4].hex()
    assert (1, "0x" + MODULE.hex(), KEY) == decode(["uint256", "address", "bytes"], call[4:])
    with pytest.raises(UsageError):
        encode_install(MODULE, KEY[1:])


def test_push_root() -> None:
    """As the module's interface has it."""
    module = Contract(Anvil.__new__(Anvil), load_artifact("KeystoreModule", "apps.keystore.contracts"), "0x")
    assert module.encode("pushRoot", ACCOUNT) == f"0x{encode_push_root_of(ACCOUNT).hex()}"


def test_nonce_and_signature() -> None:
    """The module's address comes first in both."""
    assert MODULE == (compute_module_nonce_key(MODULE) << 64).to_bytes(32, "big")[:20]
    assert MODULE + b"signature" == encode_module_signature(MODULE, b"signature")


def test_where_others_place_it() -> None:
    """Nexus and Kernel have the module elsewhere in the nonce, and Kernel takes more to install it."""
    assert bytes(4) + MODULE == (compute_nexus_nonce_key(MODULE)).to_bytes(24, "big")
    assert b"\0\1" + MODULE + bytes(2) == (compute_kernel_nonce_key(MODULE)).to_bytes(24, "big")
    kind, module, data = decode(["uint256", "address", "bytes"], encode_kernel_install(MODULE, KEY)[4:])
    assert (1, f"0x{MODULE.hex()}", bytes(19) + b"\1") == (kind, module, data[:20])
    assert (KEY, b"", bytes.fromhex("e9ae5c53")) == decode(["bytes", "bytes", "bytes"], data[20:])
    with pytest.raises(UsageError):
        encode_kernel_install(MODULE[1:], KEY)
