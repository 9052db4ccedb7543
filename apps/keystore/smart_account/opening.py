"""How an account is shown what the keystore says about its key; the bytes of `contracts/AccountSignature.sol`.

    mode 1 | codeHash 32 | config length 2 | config | signature length 2 | validator's signature | opening

Nothing but the validator's signature is signed. So an operation that is on its way when a newer root is pushed needs a
newer proof, and no second signature.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Proof, compute_root, verify_exclusion, verify_inclusion
from microrollup.errors import ProofError, UsageError

from ..accounts import Account, compute_account_key, encode_account_leaf
from ..proofs import compute_account_tree_key, encode_exclusion, encode_inclusion
from .configuration import Configuration, compute_data

__all__ = [
    "CACHED",
    "MODE_CACHED",
    "MODE_EXCLUSION",
    "MODE_INCLUSION",
    "MODE_REMEMBER",
    "Opening",
    "ShownKey",
    "encode_signature",
    "open_absent",
    "open_present",
    "open_shown",
    "remember",
]

MODE_INCLUSION: Final = 0
MODE_EXCLUSION: Final = 1
MODE_CACHED: Final = 2
MODE_REMEMBER: Final = 0x80
"""Added to one of the first two: the account remembers the configuration while the proof's root is good."""

_LENGTH_BYTES: Final = 2
_MAX_PART_BYTES: Final = 0xFFFF


class ShownKey(Protocol):
    """What is known of a key: `ShownProof` and `StateProof` are so."""

    @property
    def key(self) -> bytes:
        """32 bytes."""
        ...

    @property
    def exists(self) -> bool:
        """Whether the key was ever registered."""
        ...

    @property
    def proof(self) -> Proof:
        """Of its leaf, or that it has none."""
        ...


class Opening(Struct, frozen=True):
    """What leads from a root to a configuration."""

    mode: int
    data: bytes
    root: bytes
    """The state root that the account must hold a copy of (push it if it does not); empty for what is remembered."""


CACHED: Final = Opening(MODE_CACHED, b"", b"")
"""The account remembers the configuration from an earlier operation."""


def open_present(key: bytes, configuration: Configuration, vk: bytes, proof: Proof) -> Opening:
    """Show that the keystore holds this configuration and vk at the 32-byte key.

    Raises `ProofError` if the proof, as the keystore gave it for the key, shows something else.
    """
    value = encode_account_leaf(Account(compute_data(configuration), vk))
    root = compute_root(proof)
    verify_inclusion(root, compute_account_tree_key(key), value, proof)
    return Opening(MODE_INCLUSION, keccak256(vk) + encode_inclusion(proof), root)


def open_absent(configuration: Configuration, vk: bytes, salt: bytes, proof: Proof) -> Opening:
    """Show that the key of this first configuration, vk and 32-byte salt was never registered.

    Raises `ProofError` if the proof, as the keystore gave it for the key, shows something else.
    """
    key = compute_account_key(salt, compute_data(configuration), vk)
    root = compute_root(proof)
    verify_exclusion(root, compute_account_tree_key(key), proof)
    return Opening(MODE_EXCLUSION, salt + keccak256(vk) + encode_exclusion(proof), root)


def open_shown(shown: ShownKey, configuration: Configuration, vk: bytes, salt: bytes) -> Opening:
    """Whichever of the two the keystore's proof allows: `rollup_getProof`'s (`proof_from_json`), or one's own ledger's.

    `salt` has 32 bytes. Raises `ProofError` if the keystore holds another configuration or vk at the key, and if it
    holds nothing there but the key is not that of this first configuration.
    """
    if shown.exists:
        return open_present(shown.key, configuration, vk, shown.proof)
    if compute_account_key(salt, compute_data(configuration), vk) != shown.key:
        raise ProofError("the key was never registered, and this is not its first configuration, vk and salt")
    return open_absent(configuration, vk, salt, shown.proof)


def remember(opening: Opening) -> Opening:
    """The same, and the account remembers it: later operations need no proof (`CACHED`) while the root is good.

    It costs about 22,000 gas once and saves the proof's gas and bytes each time. Raises `UsageError` for what is
    remembered already.
    """
    if opening.mode == MODE_CACHED:
        raise UsageError("only what is proven can be remembered")
    return replace(opening, mode=opening.mode | MODE_REMEMBER)


def encode_signature(configuration: Configuration, opening: Opening, signature: bytes) -> bytes:
    """What the account takes as a signature; `signature` is the validator's.

    Raises `UsageError` if configuration or signature is too long.
    """
    parts = bytes((opening.mode,)) + configuration.code_hash
    for part in (configuration.config, signature):
        if len(part) > _MAX_PART_BYTES:
            raise UsageError(f"configuration and signature have at most {_MAX_PART_BYTES} bytes each")
        parts += len(part).to_bytes(_LENGTH_BYTES, "big") + part
    return parts + opening.data
