"""Vectors of smart accounts: configurations, keys, addresses, and the bytes that accounts take as signatures."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

from apps.keystore.accounts import Account, compute_account_key, encode_account_leaf
from apps.keystore.proofs import compute_account_tree_key
from apps.keystore.smart_account import (
    CACHED,
    STUB_CLIENT_DATA_BYTES,
    Configuration,
    compute_account_address,
    compute_data,
    compute_personal_sign_digest,
    compute_validator_address,
    configure_ecdsa,
    configure_multisig,
    configure_p256,
    configure_webauthn,
    encode_signature,
    encode_stub_signature,
    encode_webauthn,
    open_absent,
    open_present,
    remember,
)
from apps.keystore.smart_account.explain import CAUSES
from conformance.encoding import fill, show
from keystore_vectors import find_low, get_proof
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.merkle.indexed import Proof
from microrollup.testing.passkey import Passkey
from tree_model import TreeModel

Case = dict[str, Any]

_OTHERS = 5
"""Accounts beside the one that is shown."""


def _make_configurations() -> dict[str, Configuration]:
    point = Passkey(fill("passkey"), rp_id="wallet.example", origin="https://wallet.example").point
    owners = [fill(f"owner {number}", 20) for number in range(3)]
    return {
        "ecdsa": configure_ecdsa(owners[0]),
        "multisig": configure_multisig(2, owners),
        "p256": configure_p256(point),
        "webauthn": configure_webauthn(point),
        "p256 without precompile": configure_p256(point, precompile=False),
        "webauthn without precompile": configure_webauthn(point, precompile=False),
    }


def make_accounts() -> list[Case]:
    """An account of each validator: what a wallet computes before anything is registered."""
    vk, salt, factory = fill("vk", 20), fill("salt"), fill("factory", 20)
    cases = []
    for kind, configuration in _make_configurations().items():
        key = compute_account_key(salt, compute_data(configuration), vk)
        account = compute_account_address(factory, key)
        case = {
            "kind": kind,
            "configuration": configuration,
            "validator": compute_validator_address(configuration.code_hash),
            "data": compute_data(configuration),
            "vk": vk,
            "salt": salt,
            "key": key,
            "factory": factory,
            "account": account,
            "chainId": 10,
            "message": "to be signed by the account",
            "personalSignDigest": compute_personal_sign_digest(
                account, 10, _hash_message(b"to be signed by the account")
            ),
        }
        cases.append({name: show(value) for name, value in case.items()})
    return cases


def _hash_message(text: bytes) -> bytes:
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)


def make_openings() -> list[Case]:
    """Each way of showing a configuration, with the proof as a node gives it and the bytes that the account takes."""
    vk, salt, signature = fill("vk", 20), fill("salt"), fill("signature", 65)
    configuration = _make_configurations()["ecdsa"]
    data = compute_data(configuration)
    key = compute_account_key(salt, data, vk)
    leaf = encode_account_leaf(Account(data, vk))
    others = {compute_account_tree_key(fill(f"other {number}")): fill(f"value {number}") for number in range(_OTHERS)}
    tree_key = compute_account_tree_key(key)
    cases = []
    for exists in (True, False):
        tree = TreeModel()
        tree.change(others | ({tree_key: keccak256(leaf)} if exists else {}))
        index = [*tree.values].index(tree_key) + 1 if exists else find_low(tree, tree_key)
        proof = get_proof(tree, index)
        opening = open_present(key, configuration, vk, proof) if exists else open_absent(configuration, vk, salt, proof)
        cases += [
            {
                "identity": {"key": show(key), "vk": show(vk), "salt": show(salt)},
                "configuration": show(configuration),
                "proof": _show_proof(exists, leaf, proof, tree.root(), key),
                "opening": show(shown),
                "validatorSignature": show(signature),
                "signature": show(encode_signature(configuration, shown, signature)),
            }
            for shown in (opening, remember(opening))
        ]
    return cases


def _show_proof(exists: bool, value: bytes, proof: Proof, root: bytes, key: bytes) -> Case:
    """As `rollup_getProof` answers it, as far as it is read."""
    leaf = {name: value if type(value) is int else show(value) for name, value in _get_members(proof.leaf)}
    return {
        "exists": exists,
        "value": show(value) if exists else None,
        "leaf": leaf,
        "leafIndex": proof.leaf_index,
        "siblings": show(list(proof.siblings)),
        "isLeft": proof.is_left,
        "stateRoot": show(root),
        "height": 1,
        "encodedKey": show(key),
    }


def _get_members(leaf: Any) -> list[tuple[str, Any]]:
    names = {"next_prefix": "nextPrefix", "next_key": "nextKey", "value_hash": "valueHash"}
    return [(names.get(name, name), getattr(leaf, name)) for name in leaf.__struct_fields__]


def make_stubs() -> list[Case]:
    """What stands for a signature in an estimate, of each validator; of passkeys for two lengths of clientDataJSON."""
    cases = []
    for kind, configuration in _make_configurations().items():
        for size in (STUB_CLIENT_DATA_BYTES, 420) if kind.startswith("webauthn") else (STUB_CLIENT_DATA_BYTES,):
            signature = encode_stub_signature(configuration, CACHED, client_data_bytes=size)
            case = {"configuration": configuration, "clientDataBytes": size, "signature": signature}
            cases.append({name: show(value) for name, value in case.items()})
    return cases


def make_causes() -> list[Case]:
    """Every cause that `explain` names, with its words."""
    return [{"cause": cause, "words": words} for cause, words in CAUSES.items()]


def make_assertions() -> list[Case]:
    """An assertion's parts in the kernel's form and in the validator's; the scalars are arbitrary, s is low."""
    cases = []
    for extra in ("", ',"crossOrigin":false', ',"other_keys_can_be_added_here":"do not compare clientDataJSON"'):
        challenge = urlsafe_b64encode(fill("digest")).decode().rstrip("=")
        client = f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://wallet.example"{extra}}}'
        authenticator_data = fill("wallet.example") + bytes((5, 0, 0, 0, 9))
        parts = [len(part).to_bytes(2, "big") + part for part in (authenticator_data, client.encode())]
        scalars = fill("r") + b"\x00" + fill("s", 31)
        kernel = b"".join((b"\x02", fill("point", 64), scalars, *parts))
        cases.append(
            {
                "scalars": show(scalars),
                "authenticatorData": show(authenticator_data),
                "clientDataJson": client,
                "kernel": show(kernel),
                "validator": show(encode_webauthn(kernel)),
            }
        )
    return cases
