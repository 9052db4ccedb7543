"""Who takes part: accounts with their keys and devices, guardians, a mail provider, and a thief."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.crypto.keccak import keccak256

from ...smart_account import compute_data
from ...story.holder import Device, Identity, make_ecdsa_device
from ..guardians import ACCOUNT, MAIL, SENDER, compute_guardians_hash
from ..mail_votes import compute_mail_id
from ..mailing import MailKey
from ..naming import compute_named_key
from ..policy import Guardian

__all__ = ["LABEL", "MAIL_ADDRESS", "MAIL_SALT", "Cast", "Person"]

LABEL: Final = "alice"
MAIL_ADDRESS: Final = "ann@mail.example"
MAIL_SALT: Final = keccak256(b"the salt of the story's guardians")
_ROOT_NODE: Final = bytes(32)


def make_story_key(name: str) -> PrivateKey:
    """A private key by a name."""
    return load_private_key(keccak256(b"keystore+'s story: " + name.encode()))


class Person(Struct, frozen=True):
    """Somebody with an account: the key that the rollup knows, and the device that L2s would know."""

    identity: Identity
    wallet: PrivateKey
    device: Device

    @property
    def key(self) -> bytes:
        """The account's, 32 bytes."""
        return self.identity.key

    @classmethod
    def make(cls, name: str) -> Person:
        """With an account that is not registered yet."""
        wallet, device = (
            make_story_key(f"{name}'s wallet"),
            make_ecdsa_device("phone", make_story_key(f"{name}'s phone")),
        )
        identity = Identity.of(name, device, compute_address(wallet), keccak256(name.encode()))
        return cls(identity, wallet, device)


class Cast:
    """Everybody, before anything has happened."""

    def __init__(self) -> None:
        self.parent_node = keccak256(keccak256(_ROOT_NODE + keccak256(b"eth")) + keccak256(b"story"))
        """The ENS namehash of `story.eth`."""
        self.bob, self.shop, self.collector = Person.make("Bob"), Person.make("the shop"), Person.make("the collector")
        self.erin, self.thief = Person.make("Erin"), Person.make("the thief")
        wallet, phone = (
            make_story_key("Alice's wallet"),
            make_ecdsa_device("phone 1", make_story_key("Alice's phone 1")),
        )
        named = compute_named_key(self.parent_node, LABEL)
        self.alice = Person(Identity("Alice", named, compute_address(wallet), bytes(32)), wallet, phone)
        self.new_wallet = make_story_key("Alice's new wallet")
        self.new_phone = make_ecdsa_device("phone 2", make_story_key("Alice's phone 2"))
        self.helpers = tuple([make_ecdsa_device(f"helper {n}", make_story_key(f"helper {n}")) for n in (1, 2)])
        """Hot keys that may act for Alice on the L2, one after the other."""
        self.carol = make_story_key("Carol's wallet")
        """A guardian without an account."""
        self.provider = MailKey(Ed25519PrivateKey.from_private_bytes(keccak256(b"mail.example signs with this")))
        self.guardians = sorted(
            [
                Guardian(SENDER, bytes(12) + compute_address(self.carol)),
                Guardian(ACCOUNT, self.bob.key),
                Guardian(MAIL, compute_mail_id(MAIL_SALT, MAIL_ADDRESS)),
            ],
            key=lambda guardian: (guardian.kind, guardian.id),
        )
        self.guardians_hash = compute_guardians_hash(MAIL_SALT, self.guardians)

    @property
    def commitments(self) -> tuple[bytes, bytes]:
        """Alice's `codeHash` and `configHash`."""
        data = compute_data(self.alice.device.configuration)
        return data[:32], data[32:]

    def find_place(self, kind: int) -> int:
        """The place in the list of the one guardian of a kind."""
        return [guardian.kind for guardian in self.guardians].index(kind)
