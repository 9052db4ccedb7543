"""The vault in Solidity: unit, fuzz and invariant tests and the gas snapshot, run by forge; and the calls to it.

They are in `tests/foundry/vault`. After a change that is meant to change gas:
`python tests/keystore/test_vault_forge.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from eth_abi.packed import encode_packed

from apps.keystore.vault_calls import (
    ETHER,
    UNREGISTERED,
    Escape,
    EscapeOpening,
    PaidDeposit,
    authorize_by_exit,
    authorize_by_owners,
    authorize_by_signature,
    compute_balance_tree_key,
    compute_deposit_target,
    compute_deposit_tree_key,
    compute_escape_digest,
    compute_exit_tree_key,
    compute_withdrawal_tree_key,
    encode_checkpoint,
    encode_claim,
    encode_claim_to,
    encode_deposit,
    encode_escape,
    encode_freeze,
    encode_op_stack_bridge_parameters,
    encode_reclaim,
    encode_registration,
)
from contract_calls import Contract
from forge import ForgeProject
from l1_fixtures import Anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import keccak256

PACKAGE: Final = "apps.keystore.contracts"
PROJECT = ForgeProject("vault")
EIP170: Final = 24_576
A, B = b"\x11" * 20, b"\x22" * 20
KEY, ROOT = b"\x33" * 32, b"\x44" * 32


def test_forge(tmp_path: Path) -> None:
    """Every forge test passes, and each measured figure is the one under version control."""
    PROJECT.check(tmp_path)


def test_contracts_fit() -> None:
    """EIP-170 bounds the deployed code, which is shorter than the creation code."""
    for name in (
        "KeystoreVault",
        "EscapeVerifier",
        "OpStackVaultBridge",
        "AxiomBridge",
        "OpStackSettler",
        "ArbitrumSettler",
    ):
        assert (len(load_artifact(name, PACKAGE).bytecode) - 2) // 2 < EIP170, name


def contract(name: str) -> Contract:
    """The interface, as the compiler described it; nothing is called."""
    return Contract(Anvil.__new__(Anvil), load_artifact(name, PACKAGE), "0x")


def test_calls() -> None:
    """The bytes are what the contract's own interface says, each argument in its place."""
    vault = contract("KeystoreVault")
    registration = encode_registration(ROOT, b"\x55" * 32, b"\x66" * 32, b"proof")
    expected = {
        encode_deposit(A, KEY, 7, B, ROOT): vault.encode("deposit", A, KEY, 7, B, ROOT, UNREGISTERED),
        encode_deposit(A, KEY, 7, B, ROOT, registration): vault.encode("deposit", A, KEY, 7, B, ROOT, registration),
        encode_checkpoint(): vault.encode("checkpoint"),
        encode_freeze(): vault.encode("freeze"),
        encode_claim(ROOT, KEY, A, B, 7, b"proof"): vault.encode("claim", ROOT, KEY, A, B, 7, b"proof"),
        encode_claim_to(ROOT, KEY, A, 7, b"proof", B, b"more"): vault.encode(
            "claimTo", ROOT, KEY, A, 7, b"proof", B, b"more"
        ),
        encode_reclaim(5, PaidDeposit(A, 7, B, 9), ROOT, b"proof"): vault.encode(
            "reclaim", 5, (A, 7, B, 9), ROOT, b"proof"
        ),
        encode_escape(Escape(KEY, A, B), 7, EscapeOpening(b"data", b"vk", True, ROOT, b"open"), b"proof", b"\1"): (
            vault.encode("escape", KEY, A, B, 7, (b"data", b"vk", True, ROOT, b"open"), b"proof", b"\1")
        ),
    }
    assert list(expected.values()) == [f"0x{call.hex()}" for call in expected]
    assert 4 * 32 == len(encode_op_stack_bridge_parameters(A, B, A, 200_000))


def test_places() -> None:
    """Silo and key of each leaf, by the document."""
    assert keccak256(encode_packed(["uint16", "bytes32"], [1, KEY])) == compute_balance_tree_key(ETHER, KEY)
    assert keccak256(encode_packed(["uint16", "address", "bytes32"], [4, A, KEY])) == compute_balance_tree_key(A, KEY)
    assert keccak256(encode_packed(["uint16", "bytes32"], [3, KEY])) == compute_withdrawal_tree_key(ETHER, KEY)
    assert keccak256(encode_packed(["uint16", "bytes32"], [5, KEY])) == compute_withdrawal_tree_key(A, KEY)
    assert keccak256(encode_packed(["uint16", "uint256"], [10, 300])) == compute_deposit_tree_key(300)
    assert keccak256(encode_packed(["uint16", "bytes32"], [11, KEY])) == compute_exit_tree_key(KEY)


def test_deposit_target() -> None:
    """The id alone says too little where somebody owns the inbox."""
    assert compute_deposit_target(ROOT, A, bytes(20)) == ROOT
    assert compute_deposit_target(ROOT, A, B) == keccak256(ROOT + bytes(12) + A)


def test_authorizations() -> None:
    """What precedes the proof or the signatures; a member of a group signs something else."""
    assert b"\1" + b"s" * 65 == authorize_by_signature(b"s" * 65)
    assert b"\2" + b"s" * 65 + b"t" * 65 == authorize_by_owners([b"s" * 65, b"t" * 65])
    assert b"\3" + A + B + bytes(7) + b"\5proof" == authorize_by_exit(A, B, 5, b"proof")
    escape = Escape(KEY, ETHER, A)
    digests = [compute_escape_digest(escape, B, 1), compute_escape_digest(escape, B, 2)]
    digests += [compute_escape_digest(escape, A, 1), compute_escape_digest(escape, B, 1, group=A)]
    assert 4 == len(set(digests))


if __name__ == "__main__":
    PROJECT.update()
