"""Users of Stackup's interface: trees with leaves that nobody sees, and updates that their nodes sign."""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from msgspec.structs import replace

from apps.keystore.ucmt import (
    RootUpdate,
    compute_update_message,
    configure_cosign,
    configure_ecdsa,
    configure_multisig,
    configure_webauthn,
    encode_cosigned,
    encode_handle_updates,
    encode_node,
    encode_webauthn,
    grow_tree,
    join_nonce,
    sign_ecdsa,
    sign_multisig,
)
from apps.keystore.ucmt.published import OWN_KEYSTORE, VERIFIERS
from apps.keystore.ucmt.relay.deploying import plan_contracts
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.webauthn import compute_challenge
from microrollup.testing.passkey import Passkey

__all__ = ["ARTIFACTS", "KINDS", "PACKAGE", "Node", "User", "encode_raw", "list_deployments", "make_key"]

PACKAGE: Final = "apps.keystore.contracts.ucmt"
ARTIFACTS: Final = {
    "ecdsa": "UcmtEcdsaVerifier",
    "multisig": "UcmtMultisigVerifier",
    "webauthn": "UcmtWebAuthnVerifier",
    "cosign": "UcmtWebAuthnCosignVerifier",
}
KINDS: Final = tuple(ARTIFACTS)
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def make_key(seed: str) -> PrivateKey:
    """A key in software."""
    return load_private_key(keccak256(seed.encode()))


def list_deployments() -> dict[bytes, bytes]:
    """Address -> creation code of the keystore and its verifiers."""
    return {plan.address: plan.code for plan in plan_contracts() if plan.name != "UcmtAccountFactory"}


class SteadyPasskey(Passkey):
    """A passkey that answers the same challenge with the same bytes."""

    def _sign(self, digest: bytes) -> bytes:
        secret = self._key.private_numbers().private_value
        nonce = int.from_bytes(keccak256(secret.to_bytes(32, "big") + digest), "big") % P256_ORDER
        r = ec.derive_private_key(nonce, ec.SECP256R1()).public_key().public_numbers().x % P256_ORDER
        s = pow(nonce, -1, P256_ORDER) * (int.from_bytes(digest, "big") + r * secret) % P256_ORDER
        return encode_dss_signature(r, s)


class Node:
    """Somebody who may change a user's root: keys of one kind of verifier."""

    def __init__(self, kind: str, seed: str, keystore: bytes = OWN_KEYSTORE) -> None:
        self.kind = kind
        self.keys = [make_key(f"{seed} {number}") for number in range(3)]
        self.passkey = SteadyPasskey(keccak256(f"{seed} passkey".encode()))
        (verifier,) = [address for address, each, of in VERIFIERS if (each, of) == (kind, keystore)]
        self.bytes = encode_node(verifier, self._configure())

    def _configure(self) -> bytes:
        first = compute_address(self.keys[0])
        match self.kind:
            case "ecdsa":
                return configure_ecdsa(first)
            case "multisig":
                return configure_multisig(2, [compute_address(key) for key in self.keys])
            case "webauthn":
                return configure_webauthn(self.passkey.point)
            case _:
                return configure_cosign(first, self.passkey.point)

    def sign(self, message: bytes) -> bytes:
        """The verifier's data."""
        match self.kind:
            case "ecdsa":
                return sign_ecdsa(self.keys[0], message)
            case "multisig":
                return sign_multisig(self.keys[1:], [compute_address(key) for key in self.keys], message)
            case "webauthn":
                return self._assert(message)
            case _:
                return encode_cosigned(sign_ecdsa(self.keys[0], message), self._assert(message))

    def _assert(self, message: bytes) -> bytes:
        given = self.passkey.get_assertion(compute_challenge(message))
        return encode_webauthn(self.passkey.point, given.authenticator_data, given.client_data_json, given.signature)


class User:
    """A user with an account; each tree has a node that signs, and `hidden` ones that never do."""

    def __init__(self, seed: str, kind: str = "ecdsa", *, hidden: int = 2, keystore: bytes = OWN_KEYSTORE) -> None:
        self.seed = seed
        self.keystore = keystore
        self.account = keccak256(f"{seed} account".encode())[:20]
        self.hidden = [Node("ecdsa", f"{seed} hidden {number}", keystore) for number in range(hidden)]
        self.version = 0
        self.node = Node(kind, f"{seed} 0", keystore)
        self.tree = self._grow(self.node)
        self.ref_hash = self.tree.root
        self.sequences: dict[int, int] = {}

    def _grow(self, node: Node) -> Any:
        return grow_tree([keccak256(each.bytes) for each in (node, *self.hidden)])

    def rotate(self, kind: str = "ecdsa", *, key: int = 0, keep: bool = False, **changes: Any) -> RootUpdate:
        """The next update, signed: to a new node, or with `keep` to a tree with one hidden node more."""
        self.version += 1
        following = self.node if keep else Node(kind, f"{self.seed} {self.version}", self.keystore)
        if keep:
            self.hidden.append(Node("ecdsa", f"{self.seed} hidden later {self.version}", self.keystore))
        tree = self._grow(following)
        sequence = self.sequences.get(key, 0)
        update = replace(
            RootUpdate(
                ref_hash=self.ref_hash, next_hash=tree.root, nonce=join_nonce(key, sequence), account=self.account,
                proof=self.tree.prove(0), node=self.node.bytes, next_proof=tree.prove(0),
                next_node=b"" if keep else following.bytes,
            ),
            **changes,
        )  # fmt: skip
        message = compute_update_message(update)
        signed = replace(
            update, data=self.node.sign(message), next_data=following.sign(message) if update.next_node else b""
        )
        self.sequences[key] = sequence + 1
        self.node, self.tree = following, tree
        return signed


def encode_raw(update: RootUpdate) -> bytes:
    """The bytes of its envelope."""
    return encode_handle_updates([update])
