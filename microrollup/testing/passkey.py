r"""P-256 keys in software: a bare one, and an authenticator that makes WebAuthn assertions as a browser gives them.

    passkey = Passkey(b"\x01" * 32, rp_id="wallet.example", origin="https://wallet.example")
    line = sign_action(app, Register(...), nonce=0, key=passkey)          # its sender is `passkey.sender`

The secret is in memory: for tests and samples.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from microrollup.crypto.signatures import p256, webauthn
from microrollup.crypto.signatures.openssl import CURVE, PREHASHED, decode_der

__all__ = ["Assertion", "P256Key", "Passkey"]


class Assertion(msgspec.Struct, frozen=True):
    """The parts of a browser's `AuthenticatorAssertionResponse`."""

    authenticator_data: bytes
    client_data_json: bytes
    signature: bytes
    """ASN.1 DER, with either s."""


class _Key:
    """What both kinds of keys have: a point, and ECDSA over 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._key = ec.derive_private_key(int.from_bytes(secret, "big"), CURVE)
        numbers = self._key.public_key().public_numbers()
        self.point: Final = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        """The public key: `x(32) || y(32)`."""

    def _sign(self, digest: bytes) -> bytes:
        return self._key.sign(digest, PREHASHED)


class P256Key(_Key):
    """A key that signs digests themselves (scheme 1), as a secure element does."""

    def __init__(self, secret: bytes) -> None:
        """A key of a scalar, big-endian. Raises `ValueError` unless it lies between 0 and the curve's order."""
        super().__init__(secret)
        self.sender: Final = p256.compute_sender(p256.SCHEME, self.point)
        """20 bytes."""

    def sign(self, digest: bytes, /) -> bytes:
        """The canonical 129 bytes over a 32-byte digest; another signature each time."""
        scalars = b"".join([scalar.to_bytes(32, "big") for scalar in decode_der(self._sign(digest))])
        return p256.canonicalize(bytes((p256.SCHEME,)) + self.point + scalars)


class Passkey(_Key):
    """A credential of an authenticator, together with the browser that asks it (scheme 2)."""

    def __init__(self, secret: bytes, *, rp_id: str = "wallet.example", origin: str = "https://wallet.example") -> None:
        """A credential of a scalar, big-endian, made for a relying party and used on a page of `origin`.

        Raises `ValueError` unless the scalar lies between 0 and the curve's order.
        """
        super().__init__(secret)
        self.sender: Final = p256.compute_sender(webauthn.SCHEME, self.point)
        """20 bytes."""
        self.sign_count = 0
        """Uses so far; each assertion carries the next number."""
        self._rp_id_hash = hashlib.sha256(rp_id.encode()).digest()
        self._origin = origin

    def get_assertion(
        self, challenge: str, *, flags: int = webauthn.USER_PRESENT | webauthn.USER_VERIFIED, extensions: bytes = b""
    ) -> Assertion:
        """Answer a challenge (base64url without padding) as `navigator.credentials.get` does."""
        client_data = {"type": "webauthn.get", "challenge": challenge, "origin": self._origin, "crossOrigin": False}
        return self.sign_client_data(msgspec.json.encode(client_data), flags=flags, extensions=extensions)

    def sign_client_data(
        self,
        client_data_json: bytes,
        *,
        flags: int = webauthn.USER_PRESENT | webauthn.USER_VERIFIED,
        extensions: bytes = b"",
    ) -> Assertion:
        """Sign any bytes as clientDataJSON; for tests of what is to be refused."""
        self.sign_count += 1
        data = self._rp_id_hash + bytes((flags,)) + self.sign_count.to_bytes(4, "big") + extensions
        signature = self._sign(webauthn.compute_signed_hash(data, client_data_json))
        return Assertion(data, client_data_json, signature)

    def encode(self, assertion: Assertion) -> bytes:
        """The canonical signature of an assertion; nothing of it is verified."""
        return webauthn.encode_assertion(
            self.point, assertion.authenticator_data, assertion.client_data_json, assertion.signature
        )

    def sign(self, digest: bytes, /) -> bytes:
        """The canonical signature of an assertion whose challenge is a 32-byte digest; another each time."""
        return self.encode(self.get_assertion(webauthn.compute_challenge(digest)))
