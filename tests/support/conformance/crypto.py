"""Vectors of trees, the set hash and signature schemes."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from conformance.encoding import fill, make_key, show
from microrollup.codec.keys import compile_key_codec
from microrollup.codec.schema import TupleType, describe_type, render_schema
from microrollup.crypto import lthash
from microrollup.crypto.ecdsa import sign_digest
from microrollup.crypto.keccak import EMPTY_HASH, keccak256
from microrollup.crypto.merkle.indexed import compute_tree_key
from microrollup.crypto.merkle.items import compute_items_root, prove_item
from microrollup.crypto.signatures import p256, schemes, webauthn
from microrollup.crypto.signatures.statement import Statement
from microrollup.primitives import Address, Bytes32, Uint8, Uint64, Uint256
from microrollup.testing.keys import BlsKeys, Ed25519Key, GroupKey, WinternitzKey
from tree_model import TreeModel

Case = dict[str, Any]

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def make_item_trees() -> list[Case]:
    """Trees of 0 to 9 items, and the path of every item."""
    cases = []
    for count in range(10):
        items = [fill(f"item {index}", index + 1) for index in range(count)]
        paths = [show(prove_item(items, index).siblings) for index in range(count)]
        cases.append({"items": show(items), "root": show(compute_items_root(items)), "siblings": paths})
    return cases


def make_set_hashes() -> list[Case]:
    """Entries added to and taken from the empty set."""
    draw = Random(4)
    entries = [(draw.choice((0, 1, 0xFFFF)), draw.randbytes(draw.randrange(33)), draw.randbytes(8)) for _ in range(9)]
    cases, lanes = [], lthash.EMPTY_LANES
    steps: list[tuple[list[Any], list[Any]]] = [([], [])]
    steps += [([], [entry]) for entry in entries[:3]] + [([], entries[3:]), (entries[1:5], []), (entries[:1], [])]
    for removed, added in steps:
        lanes = lthash.update_lanes(lanes, removed, added)
        named = [
            [{"field": show(field), "key": show(key), "value": show(value)} for field, key, value in group]
            for group in (removed, added)
        ]
        root = lthash.compute_metadata_root(lanes)
        cases.append(
            {"removed": named[0], "added": named[1], "lanesHash": show(keccak256(lanes)), "metadataRoot": show(root)}
        )
    return cases


def make_state_trees() -> list[Case]:
    """One tree through five blocks: inserts, updates and deletions, each with proofs of presence and absence."""
    draw, tree, cases = Random(6), TreeModel(), []
    keys = [(draw.randrange(3), draw.randbytes(draw.randrange(33))) for _ in range(21)]
    for size in (0, 1, 2, 7, 20):
        present = [compute_tree_key(*key) for key in keys[:size]]
        changes = {key: keccak256(draw.randbytes(9)) for key in sorted(set(present) - set(tree.values))}
        changes |= dict.fromkeys(draw.sample(sorted(tree.values), len(tree.values) // 3), EMPTY_HASH)
        tree.change(changes)
        absent = compute_tree_key(*keys[20])
        leaves, low = (
            tree.leaf_bytes(),
            max([(key, at) for at, key in enumerate(tree.values, 1) if key < absent] or [(b"", 0)])[1],
        )
        cases.append(
            {
                "inserted": [
                    {"silo": show(silo), "key": show(key), "treeKey": show(compute_tree_key(silo, key))}
                    for silo, key in keys[:size]
                ],
                "changes": [[show(key), show(value)] for key, value in changes.items()],
                "leaves": show(leaves),
                "root": show(tree.root()),
                "inclusions": [
                    {"treeKey": show(key), "leafIndex": show(at), "siblings": show(tree.siblings(at))}
                    for at, key in enumerate(tree.values, 1)
                ],
                "exclusion": {"treeKey": show(absent), "leafIndex": show(low), "siblings": show(tree.siblings(low))},
            }
        )
    return cases


def make_map_keys() -> list[dict[str, Any]]:
    """Scalar and composite keys; `components` have the types of `types`, each as it stands in a value."""
    address, word = fill("account", 20), fill("word")
    keys: list[tuple[Any, Any]] = [
        (Address, address),
        (Bytes32, word),
        (Uint64, 2**64 - 1),
        (str, "Zürich"),
        (bytes, b""),
        (tuple[Address, Address], (address, fill("other", 20))),
        (tuple[Uint64, Uint256, Address], (7, 2**256 - 1, address)),
        (tuple[Uint8, str], (1, "Zürich")),
        (tuple[Bytes32, bytes], (word, fill("rest", 224))),
    ]
    cases = []
    for silo, (annotation, key) in enumerate(keys):
        described = describe_type(annotation, where="state", path="key")
        encoded = compile_key_codec(described).encode(key)
        composite = isinstance(described, TupleType)
        cases.append(
            {
                "type": render_schema(described),
                "components": show(key if composite else (key,)),
                "encoded": show(encoded),
                "silo": show(silo),
                "treeKey": show(compute_tree_key(silo, encoded)),
            }
        )
    return cases


def make_signatures() -> list[Case]:
    """A signature of each scheme in the forms that wallets give, the stored form, and the sender."""
    digest = fill("digest to sign")
    wallet = sign_digest(make_key("wallet"), digest)
    compact = wallet[:32] + bytes([wallet[32] | (wallet[64] - 27) << 7]) + wallet[33:64]
    point, scalars = sign_p256("secure element", digest)
    client_data = (
        b'{"type":"webauthn.get","challenge":"%s","origin":"https://wallet.example","crossOrigin":false}'
        % webauthn.compute_challenge(digest).encode()
    )
    data = fill("wallet.example") + bytes([webauthn.USER_PRESENT | webauthn.USER_VERIFIED]) + bytes(4)
    passkey, assertion = sign_p256("passkey", webauthn.compute_signed_hash(data, client_data))
    parts = b"".join([len(part).to_bytes(2, "big") + part for part in (data, client_data)])
    forms = {
        "secp256k1, v 27 or 28": wallet,
        "secp256k1, v 0 or 1": wallet[:64] + bytes([wallet[64] - 27]),
        "secp256k1, EIP-2098": compact,
        "P-256": bytes([p256.SCHEME]) + point + scalars,
        "P-256, high s": bytes([p256.SCHEME]) + point + negate(scalars),
        "WebAuthn": bytes([webauthn.SCHEME]) + passkey + assertion + parts,
    }
    statement = Statement(digest, 0, fill("domain"), lambda sender: keccak256(digest + sender))
    group = GroupKey(2, [make_key("wallet"), Ed25519Key(fill("ed25519")), Ed25519Key(fill("other"))], signing=[0, 1])
    forms |= {
        "Ed25519": Ed25519Key(fill("ed25519")).sign(digest),
        "2 of 3; members sign keccak256(digest || sender) here": group.sign_statement(statement),
        "BLS12-381, 3 keys": BlsKeys([fill(f"bls {index}") for index in range(3)]).sign(digest),
        "Winternitz": WinternitzKey(fill("winternitz")).sign(digest),
    }
    return [
        {
            "form": form,
            "digest": show(digest),
            "signature": show(raw),
            "stored": show(stored),
            "sender": show(schemes.recover_sender(statement, stored)),
        }
        for form, raw in forms.items()
        for stored in (schemes.canonicalize(raw),)
    ]


def sign_p256(name: str, digest: bytes) -> tuple[bytes, bytes]:
    """Public point and `r || s`, low s. The secret nonce is `fill`ed, so that the same bytes come out each time."""
    secret, nonce = (int.from_bytes(fill(f"{name} {part}"), "big") % P256_ORDER for part in ("secret", "nonce"))
    public = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    r = ec.derive_private_key(nonce, ec.SECP256R1()).public_key().public_numbers().x % P256_ORDER
    s = pow(nonce, -1, P256_ORDER) * (int.from_bytes(digest, "big") + r * secret) % P256_ORDER
    point = public.x.to_bytes(32, "big") + public.y.to_bytes(32, "big")
    return point, r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")


def negate(scalars: bytes) -> bytes:
    """The same `r` with the other `s`."""
    return scalars[:32] + (P256_ORDER - int.from_bytes(scalars[32:], "big")).to_bytes(32, "big")
