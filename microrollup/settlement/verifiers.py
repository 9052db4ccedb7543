"""Verifier sets: who may attest, how many must, and what else counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Final

import msgspec

from microrollup.codec.abi import compile_arguments_encoder
from microrollup.codec.schema import describe_struct
from microrollup.crypto.bls_shares import (
    CHAIN_KEY_BYTES,
    CHAIN_SIGNATURE_BYTES,
    KEY_BYTES,
    compress_chain_key,
    compress_chain_signature,
    expand_key,
    expand_signature,
    is_possessed,
)
from microrollup.crypto.keccak import keccak256
from microrollup.errors import BadSignature
from microrollup.primitives import ZERO_ADDRESS, Address, Uint8, Uint32, Uint64
from microrollup.settlement.errors import BadQuorum
from microrollup.settlement.quorum_errors import BadKey, UnknownPage, WrongKeysLength

__all__ = [
    "BLS",
    "COUNT",
    "ECDSA",
    "MAX_BLS_KEYS",
    "MAX_PAGE_KEYS",
    "MAX_VERIFIERS",
    "REQUIRE",
    "RULES",
    "VerifierRule",
    "VerifierSet",
    "compute_set_id",
    "encode_page",
    "resolve_set",
    "sort_keys",
    "verify_page",
    "verify_verifiers",
]

ECDSA: Final = 0
"""Kind of a set, and of signatures: secp256k1 keys by their addresses."""

BLS: Final = 1
"""Kind of a set, and of signatures: BLS12-381 keys in registered pages."""

RULES: Final = 2
"""Kind of signatures only: those of a set with rules, around those of its own kind."""

COUNT: Final = 0
"""Kind of a rule: a proof counts as so many verifiers."""

REQUIRE: Final = 1
"""Kind of a rule: every batch must bring the proof, which counts nothing."""

MAX_VERIFIERS: Final = 256
"""Addresses of a set."""

MAX_BLS_KEYS: Final = 512
"""Keys of a set, over all its pages."""

MAX_PAGE_KEYS: Final = 64
"""Keys of a page."""

_MAX_RULES: Final = 4
_MAX_QUORUM: Final = (1 << 32) - 1


class VerifierRule(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a proof that a contract verifies (`IBatchVerifier`) is for a set."""

    kind: Uint8
    """`COUNT` or `REQUIRE`."""
    verifier: Address
    """The contract's 20-byte address."""
    weight: Uint64
    """As how many verifiers it counts; 0 for `REQUIRE`."""


class VerifierSet(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who may attest, and how many must."""

    addresses: Annotated[tuple[Address, ...], msgspec.Meta(min_length=1, max_length=MAX_BLS_KEYS)]
    """Strictly ascending 20-byte addresses; of BLS, the pages in the order of their keys."""
    quorum: Uint64
    kind: Uint8 = ECDSA
    """`ECDSA` or `BLS`."""
    rules: Annotated[tuple[VerifierRule, ...], msgspec.Meta(max_length=_MAX_RULES)] = ()
    """Whose proofs count or are required, ascending by address."""
    keys: Annotated[
        tuple[Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)], ...],
        msgspec.Meta(max_length=MAX_BLS_KEYS),
    ] = ()
    """Of BLS, the 96-byte keys of the pages, which the settlement fills in; not part of the set's identity."""

    @property
    def members(self) -> tuple[bytes, ...]:
        """Who may attest: 20-byte addresses, or 96-byte BLS keys in the order of a bitmap's bits."""
        return self.keys if self.kind == BLS else self.addresses


class SetIdentity(msgspec.Struct, frozen=True):
    kind: Uint8
    members: tuple[Address, ...]
    quorum: Uint32
    rules: tuple[VerifierRule, ...]


_encode_identity: Final = compile_arguments_encoder(
    [field.type for field in describe_struct(SetIdentity, where="state").fields]
)


def compute_set_id(verifiers: VerifierSet) -> bytes:
    """The 32 bytes that tell a set from any other: `keccak256(abi.encode(kind, members, quorum, rules))`.

    The members are the addresses, or those of the pages; a rule is `(uint8 kind, address verifier, uint256 weight)`.
    """
    return keccak256(_encode_identity([verifiers.kind, verifiers.addresses, verifiers.quorum, verifiers.rules]))


def sort_keys(keys: Iterable[bytes]) -> list[bytes]:
    """96-byte BLS keys in the order of pages, which is that of their 192 bytes on chain. Raises `BadSignature`."""
    return sorted(keys, key=expand_key)


def encode_page(keys: Sequence[bytes], proofs: Sequence[bytes]) -> tuple[bytes, bytes]:
    """96-byte keys and their 48-byte proofs of possession as a contract takes them: 192 and 128 bytes each.

    Raises `WrongKeysLength`, or `BadKey` for what is not a point. Whether they make a page is for `verify_page` to say.
    """
    if not 1 <= len(keys) <= MAX_PAGE_KEYS or len(keys) != len(proofs):
        raise WrongKeysLength(CHAIN_KEY_BYTES * len(keys), CHAIN_SIGNATURE_BYTES * len(proofs))
    pairs = []
    for index, (key, proof) in enumerate(zip(keys, proofs, strict=True)):
        try:
            pairs.append((expand_key(key), expand_signature(proof)))
        except BadSignature:
            raise BadKey(index) from None
    return b"".join([key for key, _ in pairs]), b"".join([proof for _, proof in pairs])


def verify_page(keys: bytes, proofs: bytes) -> tuple[bytes, ...]:
    """The 96-byte keys of a page, whose bytes are as a contract takes them. Raises `WrongKeysLength` or `BadKey`."""
    count = len(keys) // CHAIN_KEY_BYTES
    if not 1 <= count <= MAX_PAGE_KEYS or (len(keys), len(proofs)) != (
        count * CHAIN_KEY_BYTES,
        count * CHAIN_SIGNATURE_BYTES,
    ):
        raise WrongKeysLength(len(keys), len(proofs))
    page: list[bytes] = []
    below = b""
    for index in range(count):
        raw = keys[index * CHAIN_KEY_BYTES : (index + 1) * CHAIN_KEY_BYTES]
        proof = proofs[index * CHAIN_SIGNATURE_BYTES : (index + 1) * CHAIN_SIGNATURE_BYTES]
        try:
            key, compressed = compress_chain_key(raw), compress_chain_signature(proof)
        except BadSignature:
            raise BadKey(index) from None
        if raw <= below or not is_possessed(key, compressed):
            raise BadKey(index)
        below = raw
        page.append(key)
    return tuple(page)


def resolve_set(verifiers: VerifierSet, find_page: Callable[[bytes], tuple[bytes, ...] | None]) -> VerifierSet:
    """A set with the keys of its pages, if it can be one; `find_page` gives those of a registered page, by its address.

    Raises `UnknownPage` or `BadQuorum`.
    """
    keys: list[bytes] = []
    for address in verifiers.addresses if verifiers.kind == BLS else ():
        page = find_page(address)
        if page is None or (keys and expand_key(page[0]) <= expand_key(keys[-1])):
            raise UnknownPage(address)
        keys += page
        if len(keys) > MAX_BLS_KEYS:
            raise BadQuorum(len(keys), verifiers.quorum)
    resolved = msgspec.structs.replace(verifiers, keys=tuple(keys))
    verify_verifiers(resolved)
    return resolved


def verify_verifiers(verifiers: VerifierSet) -> None:
    """Raise `BadQuorum` unless this can be a set, whose BLS keys are those of its pages.

    Addresses ascend strictly from above zero, and so do those of the rules; the quorum is more than half of all that
    can count together, and no proof alone is a quorum. So two quorums share something that counts.
    """
    total, quorum = len(verifiers.members), verifiers.quorum
    limit = MAX_BLS_KEYS if verifiers.kind == BLS else MAX_VERIFIERS
    good = verifiers.kind in (ECDSA, BLS) and 1 <= total <= limit and len(verifiers.rules) <= _MAX_RULES
    good = good and quorum <= _MAX_QUORUM and (verifiers.kind == BLS or _ascends(verifiers.addresses))
    good = good and _ascends([rule.verifier for rule in verifiers.rules])
    for rule in verifiers.rules:
        good = good and (0 < rule.weight < quorum if rule.kind == COUNT else (rule.kind, rule.weight) == (REQUIRE, 0))
        total += rule.weight if good else 0
    if not (good and total < 2 * quorum <= 2 * total):
        raise BadQuorum(total, quorum)


def _ascends(addresses: Iterable[bytes]) -> bool:
    return all(low < high for low, high in pairwise((ZERO_ADDRESS, *addresses)))
