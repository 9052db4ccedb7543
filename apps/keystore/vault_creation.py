"""How a vault comes to be: what it is created from, where it is then, and what binds it to its rollup's inbox.

The vault is created first, because its address is in the rollup's genesis: by the deployment proxy, under a salt of the
rollup's first builder. So the vault's address can be computed from a rollup's genesis and the vault's maker, and
an address that comes out has the code of `KeystoreVault` and no other.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from eth_abi.abi import encode as abi_encode

from microrollup.chain.record import Genesis
from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import compute_create2_address, keccak256
from microrollup.primitives import ZERO_ADDRESS

from .smart_account.addresses import DEPLOYER, compute_deployed_address
from .smart_account.configuration import load_creation_code

__all__ = [
    "compute_vault_address",
    "compute_vault_salt",
    "encode_bind",
    "encode_escape_verifier_creation",
    "encode_vault_creation",
    "encode_vault_question",
]

_THIS_INBOX: Final = b"\xff" * 20
"""In the domain that an inbox is created with: the inbox itself."""

_BIND_TYPES: Final = (
    "bytes",
    "(string,uint256,uint256,bytes32,bytes32,address,address[],uint256,uint256,bytes32)",
    "(string,string,uint256,address)",
    "address",
    "bytes32",
)


@cache
def _load_inbox_code() -> bytes:
    return bytes.fromhex(load_artifact("RollupInbox").bytecode.removeprefix("0x"))


def compute_vault_salt(builder: bytes, salt: bytes) -> bytes:
    """The salt of the vault of a rollup with this first builder (20 bytes) and this salt in its genesis (32 bytes)."""
    return keccak256(builder + salt)


def encode_escape_verifier_creation() -> bytes:
    """The creation code of `EscapeVerifier`, which all vaults may share."""
    return load_creation_code("EscapeVerifier")


def encode_vault_creation(maker: bytes, verdicts: bytes = ZERO_ADDRESS) -> bytes:
    """The creation code of a vault that the 20-byte `maker` binds, for an inbox of the code that this package has.

    `verdicts` is the `OrderVerdicts` by which its orders end; zero: without orders.
    """
    verifier = compute_deployed_address(encode_escape_verifier_creation())
    words = [maker, keccak256(_load_inbox_code()), verifier, verdicts]
    return load_creation_code("KeystoreVault") + abi_encode(["address", "bytes32", "address", "address"], words)


def compute_vault_address(maker: bytes, builder: bytes, salt: bytes, verdicts: bytes = ZERO_ADDRESS) -> bytes:
    """Where the vault of a maker is for the rollup of a builder and a salt: 20 bytes."""
    creation_code = encode_vault_creation(maker, verdicts)
    return compute_create2_address(DEPLOYER, compute_vault_salt(builder, salt), keccak256(creation_code))


def encode_bind(genesis: Genesis, owner: bytes, stf_id: bytes) -> bytes:
    """The maker's call that names the inbox of a genesis, with its 20-byte owner and its code's 32-byte STF id."""
    domain = genesis.domain
    words: list[Any] = [
        _load_inbox_code(),
        (
            genesis.name, genesis.l1_chain_id, genesis.genesis_time, genesis.state_root, genesis.metadata_root,
            genesis.builder, genesis.verifiers, genesis.quorum, genesis.l1_start, genesis.salt,
        ),
        (domain.name, domain.version, domain.chain_id, _THIS_INBOX),
        owner,
        stf_id,
    ]  # fmt: skip
    return keccak256(f"bind({','.join(_BIND_TYPES)})".encode())[:4] + abi_encode(_BIND_TYPES, words)


def encode_vault_question(name: str) -> bytes:
    """The call of one of the vault's views without arguments: `maker`, `inbox`, `rollupId`, `frozenRoot`."""
    return keccak256(f"{name}()".encode())[:4]
