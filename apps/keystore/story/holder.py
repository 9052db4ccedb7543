"""Who holds an account in the story: the key that the keystore knows, and the device that signs now."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.ledger.reading import StateProof
from microrollup.testing.passkey import Passkey

from ..accounts import compute_account_key
from ..smart_account import (
    Configuration,
    Opening,
    compute_data,
    configure_ecdsa,
    configure_webauthn,
    encode_signature,
    encode_webauthn,
    make_register,
    make_update,
    open_shown,
    sign_ecdsa,
)
from ..transitions import Register, Update

__all__ = ["Device", "Identity", "make_ecdsa_device", "make_passkey_device"]


class Device(msgspec.Struct, frozen=True):
    """Something that signs, and the configuration by which contracts know it."""

    name: str
    kind: str
    configuration: Configuration
    sign: Callable[[bytes], bytes]
    """The validator's signature over 32 bytes."""
    validator_gas: int
    """An upper bound of what the validator takes, for gas limits."""


def make_ecdsa_device(name: str, key: PrivateKey) -> Device:
    """An Ethereum key."""
    return Device(name, "ECDSA", configure_ecdsa(compute_address(key)), lambda digest: sign_ecdsa(key, digest), 6_000)


def make_passkey_device(name: str, passkey: Passkey) -> Device:
    """A passkey, on a chain that has the P-256 precompile."""
    sign: Callable[[bytes], bytes] = lambda digest: encode_webauthn(passkey.sign(digest))  # noqa: E731
    return Device(name, "passkey", configure_webauthn(passkey.point), sign, 25_000)


class Identity(msgspec.Struct, frozen=True):
    """An account's place on the keystore, known before anything is registered."""

    name: str
    key: bytes
    """32 bytes."""
    vk: bytes
    """20 bytes: the sender that may change the account."""
    salt: bytes

    @classmethod
    def of(cls, name: str, first: Device, vk: bytes, salt: bytes) -> Identity:
        """The identity that begins with a device."""
        return cls(name, compute_account_key(salt, compute_data(first.configuration), vk), vk, salt)

    def register(self, device: Device) -> Register:
        """The action that registers it."""
        return make_register(device.configuration, self.salt)

    def update(self, device: Device) -> Update:
        """The action after which this device decides; the vk stays."""
        return make_update(self.key, device.configuration, self.vk)

    def open(self, device: Device, shown: StateProof) -> Opening:
        """What shows an account that the device is the key's, or was its first and the key was never registered."""
        return open_shown(shown, device.configuration, self.vk, self.salt)

    @staticmethod
    def sign(device: Device, opening: Opening, digest: bytes) -> bytes:
        """An operation's signature."""
        return encode_signature(device.configuration, opening, device.sign(digest))
