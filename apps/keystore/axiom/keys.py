"""Axiom's m-of-n accounts: the vkey that names their circuit, their key data, and their signatures."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from microrollup import require
from microrollup.crypto.checks import recover_signer

__all__ = [
    "MAX_SIGNERS",
    "M_OF_N_ECDSA_VKEY",
    "SIGNATURE_BYTES",
    "KeyData",
    "decode_key_data",
    "encode_key_data",
    "require_signatures",
]

MAX_SIGNERS: Final = 50
"""Of one account."""
SIGNATURE_BYTES: Final = 65
"""`r(32) || s(32) || v(1)`, v 27 or 28, or 0 or 1, with the low s."""

M_OF_N_ECDSA_VKEY: Final = bytes.fromhex(
    "01010000001001000100010100000100000000000000000000000000000000009171ded76cb8d446b69cb901fe413fe38088"
    "6240549feb11014fec000a7eb1280750a550988ceaef9a37f6794af0d9bf472445bc9dfacf89b9f4a6130c2b0eb42ef05dfd"
    "54c6d765973c1b3e0c15885e1307bedc893a3474103a065e7a032d04078f64fde979db4eea6692dbde7d161c3e6c3ae99f2e"
    "7cf9c58229f8d1a5bb97056fb20596873754a862cbe247b25315399d7be7a8bfe72942564c469d6a95e141a2f3c0bb526ad5"
    "ded741e9c10d6920cd28a10f108b0d1f2b22688b67a32c4055f6d42ed1d1c3eb767c513d8aa832c470b29a9dc7afb33fdcfe"
    "da198b820f724d13a24c6d1123d95b1124cf08c4aaf9531dd819011b9a13b6151d5ab83225fe4517"
)
"""290 bytes: the verification key of Axiom's m-of-n ECDSA circuit."""

_HEAD_BYTES: Final = 129
_ARRAY: Final = (96).to_bytes(32, "big")


class KeyData(Struct, frozen=True):
    """Who signs for an account."""

    code_hash: bytes
    """32 bytes: the contract that checks the same signatures on other chains."""
    threshold: int
    signers: tuple[bytes, ...]
    """Addresses, 20 bytes each."""


def encode_key_data(key_data: KeyData) -> bytes:
    """`0x00 || abi.encode(bytes32 codehash, uint256 m, address[] signers)`: 129 bytes and 32 for each signer."""
    count = len(key_data.signers).to_bytes(32, "big")
    signers = b"".join([bytes(12) + signer for signer in key_data.signers])
    return b"\x00" + key_data.code_hash + key_data.threshold.to_bytes(32, "big") + _ARRAY + count + signers


def decode_key_data(raw: bytes) -> KeyData:
    """The strict way back: at most `MAX_SIGNERS` signers, none twice, and a threshold that they can reach.

    Raises `Revert`.
    """
    require(len(raw) >= _HEAD_BYTES and raw[:1] == b"\x00", "key data: not of m-of-n ECDSA")
    threshold, count = int.from_bytes(raw[33:65], "big"), int.from_bytes(raw[97:129], "big")
    require(raw[65:97] == _ARRAY, "key data: signers are not where they must be")
    require(count <= MAX_SIGNERS, "key data: more than 50 signers")
    require(len(raw) == _HEAD_BYTES + 32 * count, "key data: of another length")
    require(threshold <= count, "key data: more signatures than signers")
    signers: list[bytes] = []
    for start in range(_HEAD_BYTES, len(raw), 32):
        require(raw[start : start + 12] == bytes(12), "key data: a signer has more than 20 bytes")
        signer = raw[start + 12 : start + 32]
        require(signer not in signers, "key data: a signer twice")
        signers.append(signer)
    return KeyData(raw[1:33], threshold, tuple(signers))


def require_signatures(key_data: KeyData, digest: bytes, auth_data: bytes) -> None:
    """Reject other than exactly `threshold` signatures of a 32-byte digest by different signers.

    `auth_data` is the signatures one after the other; nothing for a threshold of zero.
    """
    require(len(auth_data) % SIGNATURE_BYTES == 0, "signatures have 65 bytes each")
    require(len(auth_data) == key_data.threshold * SIGNATURE_BYTES, "not as many signatures as the threshold")
    seen: list[bytes] = []
    for start in range(0, len(auth_data), SIGNATURE_BYTES):
        signer = recover_signer(digest, auth_data[start : start + SIGNATURE_BYTES])
        require(signer is not None and signer in key_data.signers, "a signature of no signer")
        require(signer not in seen, "two signatures of one signer")
        seen.append(b"" if signer is None else signer)
