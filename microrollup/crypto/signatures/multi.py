"""Scheme 4: m of n senders, each under a scheme of its own.

    0x04 || m(1) || n(1) || n x sender(20), ascending || m x (index(1) || length(2) || signature), indices ascending

at most 8,192 bytes; 1 <= m <= n <= 255; inner signatures in stored form, of secp256k1 or the schemes 1, 2 and 3. The
sender of the group is `keccak256(0x04 || m || n || senders)[12:]`. Members sign the action's type with a further last
member `address sender`, the group's: what one of them signs is worth nothing outside of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, Protocol

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.statement import Statement
from microrollup.errors import BadSignature, WrongLength

__all__ = [
    "MAX_BYTES",
    "MIN_BYTES",
    "SCHEME",
    "InnerSchemes",
    "canonicalize",
    "compute_sender",
    "encode_group",
    "read_parts",
    "recover_sender",
]

SCHEME: Final = 4
"""The first byte of a signature."""

MAX_BYTES: Final = 8_192
MAX_MEMBERS: Final = 255

_ADDRESS_BYTES: Final = 20
_HEAD_BYTES: Final = 3
_PART_HEAD_BYTES: Final = 3

MIN_BYTES: Final = _HEAD_BYTES + _ADDRESS_BYTES + _PART_HEAD_BYTES + 65
"""One of one, with secp256k1."""


class InnerSchemes(Protocol):
    """The schemes that members may use."""

    def canonicalize(self, signature: bytes) -> bytes:
        """The stored form. Raises a class of `RefusedError`."""
        ...

    def recover_sender(self, statement: Statement, signature: bytes) -> bytes:
        """The sender of a stored signature. Raises a class of `RefusedError`."""
        ...


def canonicalize(signature: bytes, inner: InnerSchemes) -> bytes:
    """The signature with each member's in its stored form. Raises `WrongLength`, `BadSignature`, or as `inner`."""
    head, parts = _split(signature)
    stored = [(index, inner.canonicalize(part)) for index, part in parts]
    whole = head + b"".join([bytes((index,)) + len(part).to_bytes(2, "big") + part for index, part in stored])
    if len(whole) > MAX_BYTES:  # EIP-2098's 64 bytes are stored as 65
        raise WrongLength(f"a group's signature has at most {MAX_BYTES} bytes as it is stored, not {len(whole)}")
    return whole


def recover_sender(statement: Statement, signature: bytes, inner: InnerSchemes) -> bytes:
    """The group's sender, if m of its members signed the statement. Raises `BadSignature`, and what `inner` raises."""
    head, parts = _split(signature)
    sender = keccak256(head)[12:]
    digest = statement.compute_member_digest(sender)
    for index, part in parts:
        start = _HEAD_BYTES + _ADDRESS_BYTES * index
        if (
            inner.recover_sender(Statement(digest, statement.nonce, statement.domain_separator), part)
            != (head[start : start + _ADDRESS_BYTES])
        ):
            raise BadSignature(f"member {index} of the group did not make the signature at its index")
    return sender


def compute_sender(threshold: int, members: tuple[bytes, ...]) -> bytes:
    """The 20-byte sender of a group: any `threshold` of these 20-byte senders, which are put in order."""
    return keccak256(_encode_head(threshold, members))[12:]


def encode_group(threshold: int, members: tuple[bytes, ...], signatures: dict[bytes, bytes]) -> bytes:
    """The signature of a group from the signatures of `threshold` members, by sender; nothing is verified.

    Raises `BadSignature` if they are not members, or not as many as the threshold.
    """
    ordered = sorted(set(members))
    if len(signatures) != threshold or not signatures.keys() <= set(ordered):
        raise BadSignature(f"{threshold} members of the group sign, not {len(signatures)}")
    parts = [(ordered.index(sender), signature) for sender, signature in signatures.items()]
    return _encode_head(threshold, members) + b"".join(
        [bytes((index,)) + len(part).to_bytes(2, "big") + part for index, part in sorted(parts)]
    )


def read_parts(signature: bytes) -> list[bytes]:
    """The members' signatures, as many as can be told apart: nothing is verified, not even their order."""
    parts: list[bytes] = []
    try:
        start = _HEAD_BYTES + _ADDRESS_BYTES * signature[2]
        parts.extend([part for _, part in _iterate_parts(signature, start, signature[1])])
    except (IndexError, WrongLength):
        return parts
    return parts


def _encode_head(threshold: int, members: tuple[bytes, ...]) -> bytes:
    ordered = sorted(set(members))
    if len(ordered) != len(members) or not 1 <= threshold <= len(ordered) <= MAX_MEMBERS:
        raise BadSignature("a group has 1 to 255 different members, and a threshold from 1 to their number")
    return bytes((SCHEME, threshold, len(ordered))) + b"".join(ordered)


def _split(signature: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """What names the group, and the members' signatures by index. Raises `WrongLength` or `BadSignature`."""
    threshold, count = signature[1], signature[2]
    end = _HEAD_BYTES + _ADDRESS_BYTES * count
    if len(signature) < end:
        raise WrongLength(f"the {count} members of the group are cut off")
    if not 1 <= threshold <= count:
        raise BadSignature(f"a threshold of {threshold} of {count} members")
    members = [signature[at : at + _ADDRESS_BYTES] for at in range(_HEAD_BYTES, end, _ADDRESS_BYTES)]
    if any(one >= other for one, other in pairwise(members)):
        raise BadSignature("the members of the group are not in ascending order")
    parts = list(_iterate_parts(signature, end, threshold))
    if parts[-1][0] >= count or any(one >= other for (one, _), (other, _) in pairwise(parts)):
        raise BadSignature("the members' signatures are not in the ascending order of their indices")
    return signature[:end], parts


def _iterate_parts(signature: bytes, at: int, count: int) -> Iterator[tuple[int, bytes]]:
    for _ in range(count):
        start = at + _PART_HEAD_BYTES
        end = start + int.from_bytes(signature[at + 1 : start], "big")
        if end > len(signature) or start > len(signature):
            raise WrongLength("a member's signature is cut off")
        yield signature[at], signature[start:end]
        at = end
    if at != len(signature):
        raise WrongLength(f"{len(signature) - at} bytes follow the {count} members' signatures")
