"""What the four verifiers take, in one form of each signature: what passes here, every verifier takes.

The contracts take more: user operations around a signature, signatures that do not count, other encodings, the high s.
A signed update that is public could be padded with those at the cost of who relays it, so they are refused.
"""

from __future__ import annotations

from typing import Final

from microrollup import require
from microrollup.crypto.checks import recover_signer, sha256, verify_p256
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.webauthn import compute_challenge

from .abi_words import encode_bytes, encode_word, join_parts, read_bytes, read_word

__all__ = ["is_signed"]

_PREFIX: Final = b"\x19Ethereum Signed Message:\n32"
_TAG: Final = b"\xff"
_TYPE: Final = b'"type":"webauthn.get"'
_PRESENT_AND_VERIFIED: Final = 0x05
_MAX_OWNERS: Final = 255
_HALF_P256_ORDER: Final = 0x7FFFFFFF800000007FFFFFFFFFFFFFFFDE737D56D38BCF4279DCE5617E3192A8


def is_signed(kind: str, message: bytes, data: bytes, config: bytes) -> bool:
    """Whether `data` signs a 32-byte message under a verifier of this kind with this config.

    Raises `Revert` for what is not in its form.
    """
    if kind == "ecdsa":
        return _recover(message, data) == config[:20]
    if kind == "multisig":
        return _is_signed_by_owners(message, data, config)
    if kind == "webauthn":
        require(len(config) >= 64, "a passkey's config has 64 bytes")
        return _is_asserted(message, data, config[:64])
    require(len(config) >= 96 and not any(config[:12]), "a cosigned config has 96 bytes")
    require(data[:1] == _TAG, "signatures begin with 0xff")
    signature, assertion = read_bytes(data[1:], 0, 0), read_bytes(data[1:], 0, 1)
    form = join_parts([(True, encode_bytes(signature)), (True, encode_bytes(assertion))])
    require(data[1:] == form, "signatures: not the ABI's form")
    return _recover(message, signature) == config[12:32] and _is_asserted(message, assertion, config[32:96])


def _recover(message: bytes, signature: bytes) -> bytes | None:
    """The address that signed the message as EIP-191 wraps it: 64 bytes (EIP-2098) or 65 with v 27 or 28, the low s."""
    if len(signature) == 65:
        require(signature[64] in (27, 28), "v of a signature is 27 or 28")
    return recover_signer(keccak256(_PREFIX + message), signature)


def _is_signed_by_owners(message: bytes, data: bytes, config: bytes) -> bool:
    """Each signature counts: by owners in ascending order, each at its own place."""
    threshold, count = read_word(config, 0), read_word(config, 64)
    require(1 <= threshold <= count <= _MAX_OWNERS, "threshold or number of owners")
    require(read_word(config, 32) == 64 and len(config) == 96 + 32 * count, "owners: not the ABI's form")
    owners = [read_word(config, 96 + 32 * place) for place in range(count)]
    for place in range(count):
        require(owners[place] < 1 << 160, "an owner is an address")
        require(place == 0 or owners[place - 1] < owners[place], "owners ascend")
    require(data[:1] == _TAG, "signatures begin with 0xff")
    encoded = data[1:]
    signers = [_read_signer(encoded, place) for place in range(_count_signers(encoded))]
    tails = [
        (True, join_parts([(False, encode_word(index)), (True, encode_bytes(signature))]))
        for index, signature in signers
    ]
    form = encode_word(32) + encode_word(len(signers)) + join_parts(tails)
    require(encoded == form, "signatures: not the ABI's form")
    last = -1
    for index, signature in signers:
        require(last < index < count, "signatures: not in their owners' order")
        last = index
        signer = _recover(message, signature)
        if signer is None or int.from_bytes(signer, "big") != owners[index]:
            return False
    return len(signers) >= threshold


def _count_signers(encoded: bytes) -> int:
    count = read_word(encoded, 32)
    require(count <= _MAX_OWNERS, "more than 255 signatures")
    return count


def _read_signer(encoded: bytes, place: int) -> tuple[int, bytes]:
    """(index of the owner, signature)."""
    at = 64 + read_word(encoded, 64 + 32 * place)
    index = read_word(encoded, at)
    require(index < 256, "an owner's index is a byte")
    return index, read_bytes(encoded, at, 1)


def _is_asserted(message: bytes, encoded: bytes, point: bytes) -> bool:
    """Whether the passkey of a point answered the challenge, with its user verified (Solady's WebAuthnAuth)."""
    authenticator_data, client_data = read_bytes(encoded, 32, 0), read_bytes(encoded, 32, 1)
    challenge_index, type_index = read_word(encoded, 96), read_word(encoded, 128)
    r, s = read_word(encoded, 160), read_word(encoded, 192)
    parts = join_parts([
        (True, encode_bytes(authenticator_data)), (True, encode_bytes(client_data)),
        (False, encode_word(challenge_index)), (False, encode_word(type_index)), (False, encode_word(r)),
        (False, encode_word(s)),
    ])  # fmt: skip
    require(encoded == encode_word(32) + parts, "assertion: not the ABI's form")
    require(max(challenge_index, type_index) <= len(client_data), "an index is after clientDataJSON")
    challenge = f'"challenge":"{compute_challenge(message)}"'.encode()
    if client_data[challenge_index : challenge_index + len(challenge)] != challenge:
        return False
    if client_data[type_index : type_index + len(_TYPE)] != _TYPE:
        return False
    if len(authenticator_data) <= 32 or authenticator_data[32] & _PRESENT_AND_VERIFIED != _PRESENT_AND_VERIFIED:
        return False
    if s > _HALF_P256_ORDER:
        return False
    digest = sha256(authenticator_data + sha256(client_data))
    return verify_p256(point, digest, encode_word(r) + encode_word(s))
