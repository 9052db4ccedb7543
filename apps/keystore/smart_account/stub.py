"""Signatures to estimate with: as long and as dear to check as the true one, which nobody has made yet.

A bundler estimates an operation before it is signed, because limits are signed with it. A validation that stops at the
first thing that is wrong would cost less than the one that counts. The validators therefore do all their work for any
well-formed signature, and the account remembers what it shall remember, before they say no.
"""

from __future__ import annotations

from typing import Final

from microrollup.errors import UsageError

from .configuration import Configuration, load_code_hash
from .opening import Opening, encode_signature
from .outbox import ChainEntry, encode_delegate_signature, encode_intent_signature

__all__ = [
    "STUB_CLIENT_DATA_BYTES",
    "encode_stub_delegate_signature",
    "encode_stub_intent_signature",
    "encode_stub_signature",
]

STUB_CLIENT_DATA_BYTES: Final = 300
"""Bytes of clientDataJSON that a passkey's stub has, unless it is told: more than browsers write for most origins."""

_SCALARS: Final = bytes.fromhex("81ba5d0bbb317b4bf6697f634081f3bf8cb9c970f7bb0b37c5d90c7750557580") + b"\x11" * 32
"""r and s, in range on either curve, s low, no byte a cheap zero.

r is the abscissa of a point of secp256k1. r / s on P-256 is 0xaaaa…: no window of two bits is zero, which a
multiplication would skip, so no signature takes longer in Solidity.
"""
_ECDSA: Final = _SCALARS + b"\x1b"
_BLS: Final = bytes.fromhex(
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
    "13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"
    "0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be"
)
"""G2's generator: a pairing with what is not a point would end at once, and burn what it was given."""
_AUTHENTICATOR_DATA: Final = b"\x71" * 32 + b"\x05" + b"\x71" * 4
"""A relying party's hash, flags (present, verified) and counter."""
_CLIENT_DATA_HEAD: Final = b'{"type":"webauthn.get","challenge":"' + b"q" * 43 + b'","origin":"'
_CLIENT_DATA_TAIL: Final = b'","crossOrigin":false}'
_TYPE_INDEX: Final = _CLIENT_DATA_HEAD.index(b'"type"')
_CHALLENGE_INDEX: Final = _CLIENT_DATA_HEAD.index(b'"challenge"')
_LENGTH_BYTES: Final = 2
_MAX_INTENT_TIME: Final = (1 << 40) - 1


def encode_stub_signature(
    configuration: Configuration, opening: Opening, *, client_data_bytes: int = STUB_CLIENT_DATA_BYTES
) -> bytes:
    """What stands for the account's signature in an estimate: the opening is true, the validator's part is not.

    `client_data_bytes` matters to passkeys alone: the length of the browser's clientDataJSON. Raises `UsageError` if no
    published validator is configured: only its authors know what it checks.
    """
    return encode_signature(configuration, opening, _encode_validator_stub(configuration, client_data_bytes))


def encode_stub_delegate_signature(
    delegate: Configuration,
    valid_until: int,
    account_value: bytes,
    account_proof: bytes,
    delegate_proof: bytes,
    entry: ChainEntry | None = None,
    *,
    client_data_bytes: int = STUB_CLIENT_DATA_BYTES,
) -> bytes:
    """The same for a delegate (mode 4): see `encode_delegate_signature`. Raises `UsageError`."""
    stub = _encode_validator_stub(delegate, client_data_bytes)
    return encode_delegate_signature(
        delegate, stub, valid_until, account_value, account_proof, delegate_proof, entry=entry
    )


def encode_stub_intent_signature(account_value: bytes, account_proof: bytes) -> bytes:
    """The same for an intent (mode 3), which names the operation's hash and with it the limits that are estimated.

    `account_value` is the account's 64-byte leaf value, `account_proof` its inclusion as of now. The intent's own proof
    is not there yet; the account's stands for it. Raises `UsageError` for parts that are too long.
    """
    return encode_intent_signature(1, 1, _MAX_INTENT_TIME, account_value, account_proof, account_proof)


def _encode_validator_stub(configuration: Configuration, client_data_bytes: int) -> bytes:
    """A validator's signature in its form, by nobody."""
    match configuration.code_hash:
        case found if found == load_code_hash("ECDSAValidator"):
            return _ECDSA
        case found if found == load_code_hash("MultisigValidator"):
            return _ECDSA * configuration.config[0]
        case found if found in (load_code_hash("P256Validator"), load_code_hash("P256SolidityValidator")):
            return _SCALARS
        case found if found == load_code_hash("BlsValidator"):
            return _BLS
        case found if found in (load_code_hash("WebAuthnValidator"), load_code_hash("WebAuthnSolidityValidator")):
            return _encode_assertion(client_data_bytes)
        case found:
            raise UsageError(f"codeHash 0x{found.hex()} is of no published validator: its authors know what it checks")


def _encode_assertion(client_data_bytes: int) -> bytes:
    origin = client_data_bytes - len(_CLIENT_DATA_HEAD) - len(_CLIENT_DATA_TAIL)
    if origin < 0:
        raise UsageError(f"clientDataJSON is longer than {client_data_bytes} bytes even without an origin")
    client_data = _CLIENT_DATA_HEAD + b"q" * origin + _CLIENT_DATA_TAIL
    return b"".join(
        (
            len(_AUTHENTICATOR_DATA).to_bytes(_LENGTH_BYTES, "big"),
            _AUTHENTICATOR_DATA,
            client_data,
            _CHALLENGE_INDEX.to_bytes(_LENGTH_BYTES, "big"),
            _TYPE_INDEX.to_bytes(_LENGTH_BYTES, "big"),
            _SCALARS,
        )
    )
