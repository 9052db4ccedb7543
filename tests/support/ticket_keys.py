"""Whoever signs tickets of the app `tickets`: a P-256 key in software."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.openssl import CURVE, PREHASHED
from tickets import Redeem, digest_ticket

__all__ = ["Purse"]


class Purse:
    """A purse's key, the same for the same name; it counts its tickets."""

    def __init__(self, name: str = "purse") -> None:
        scalar = int.from_bytes(keccak256(name.encode()), "big") >> 1
        self._key = ec.derive_private_key(scalar, CURVE)
        numbers = self._key.public_key().public_numbers()
        self.key = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        self.id = keccak256(self.key)
        self.next = 0

    def sign(
        self, amount: int = 1, *, to: bytes = bytes(19) + b"\1", number: int | None = None, mood: int = 0
    ) -> bytes:
        """The bytes of a ticket, with the next number unless one is given."""
        if number is None:
            number, self.next = self.next, self.next + 1
        action = Redeem(self.id, number, to, amount, mood)
        r, s = decode_dss_signature(self._key.sign(digest_ticket(action), PREHASHED))
        parts = (number.to_bytes(8, "big"), to, amount.to_bytes(8, "big"), bytes((mood,)))
        return b"".join((self.key, *parts, r.to_bytes(32, "big"), s.to_bytes(32, "big")))
