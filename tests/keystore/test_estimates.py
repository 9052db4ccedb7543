"""Estimates that hold: what a bundler says of a stub is enough for what is signed, by every validator in every mode.

After a change that is meant to change gas: `PYTHONPATH=tests/support python tests/keystore/test_estimates.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from msgspec.structs import replace

from account_world import RECIPIENT, address_of, make_key
from apps.keystore.accounts import compute_account_key
from apps.keystore.smart_account import (
    CACHED,
    Configuration,
    Opening,
    UserOperation,
    compute_data,
    configure_bls,
    configure_ecdsa,
    configure_multisig,
    configure_p256,
    configure_webauthn,
    encode_bls,
    encode_init_code,
    encode_p256,
    encode_signature,
    encode_stub_signature,
    encode_webauthn,
    load_code_hash,
    remember,
    sign_ecdsa,
    sign_multisig,
)
from bundled_world import BundledWorld, run_bundled_world
from bundlers import Bundler, BundlerRefused
from microrollup.crypto.bls_points import load_curve
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.bls import SIGNATURE_DST
from microrollup.testing.passkey import P256Key, Passkey

FIGURES: Final = Path(__file__).with_name("bundled_gas.json")
BY_RULES: Final = Path(__file__).with_name("bundled_by_rules.json")
"""What became of each in safe mode; like the figures written by running this file, which takes minutes."""
TOLERANCE: Final = 0.03
"""Proofs are a level or two longer where other tests have registered accounts before."""
STEP: Final = 13_000
"""The bundler looks for the least gas in steps of 10,000, and adds 30 %."""


MODES: Final = ("creating", "exclusion", "remember", "cached", "inclusion")
"""What an account does one after the other: the first three by exclusion."""
NATIVE: Final = {
    "P-256": "0x0000000000000000000000000000000000000100",
    "WebAuthn": "0x0000000000000000000000000000000000000100",
    "BLS": "0x0000000000000000000000000000000000000011",
}
"""Signers whose validators ask a precompile that the bundler does not know."""


class Signer(NamedTuple):
    """A configuration, and who signs for it."""

    configuration: Configuration
    sign: Callable[[bytes], bytes]

    @property
    def in_solidity(self) -> bool:
        """Whether P-256 is computed by a contract."""
        return self.configuration.code_hash in (
            load_code_hash("P256SolidityValidator"), load_code_hash("WebAuthnSolidityValidator")
        )  # fmt: skip


def _make_multisig(threshold: int, count: int) -> Signer:
    names = [f"owner {number}" for number in range(count)]
    keys = [make_key(name) for name in names[:threshold]]
    return Signer(configure_multisig(threshold, [address_of(name) for name in names]), lambda h: sign_multisig(keys, h))


def _make_signers() -> dict[str, Signer]:
    p256, passkey = P256Key(keccak256(b"estimated")), Passkey(keccak256(b"estimated"))

    def sign_p256(digest: bytes) -> bytes:
        return encode_p256(p256.sign(digest))

    def sign_webauthn(digest: bytes) -> bytes:
        return encode_webauthn(passkey.sign(digest))

    curve = load_curve()
    scalar = curve.Scalar(77)

    def sign_bls(digest: bytes) -> bytes:
        return encode_bls(bytes((curve.G2Point.hash_to_curve(digest, SIGNATURE_DST) * scalar).to_compressed_bytes()))

    return {
        "ECDSA": Signer(configure_ecdsa(address_of("estimated")), lambda h: sign_ecdsa(make_key("estimated"), h)),
        "multisig 2 of 3": _make_multisig(2, 3),
        "multisig 5 of 9": _make_multisig(5, 9),
        "P-256": Signer(configure_p256(p256.point), sign_p256),
        "P-256 in Solidity": Signer(configure_p256(p256.point, precompile=False), sign_p256),
        "WebAuthn": Signer(configure_webauthn(passkey.point), sign_webauthn),
        "WebAuthn in Solidity": Signer(configure_webauthn(passkey.point, precompile=False), sign_webauthn),
        "BLS": Signer(configure_bls(bytes((curve.G1Point() * scalar).to_compressed_bytes())), sign_bls),
    }


SIGNERS: Final = _make_signers()


def _estimate_and_send(
    bundled: BundledWorld, bundler: Bundler, signer: Signer, operation: UserOperation, opening: Opening
) -> dict[str, int]:
    """Estimated with the stub, then signed and done. The limit, and what all of it took."""
    stub = encode_stub_signature(signer.configuration, opening)
    estimated = bundler.estimate(replace(operation, signature=stub))
    is_traced_long = bundler.safe and signer.in_solidity
    if is_traced_long:
        # anvil's tracer has the instruction after a call cost what the call did: more than is left looks like a lack.
        estimated = replace(estimated, verification_gas_limit=2 * estimated.verification_gas_limit)
    signature = signer.sign(bundled.world.compute_hash(estimated))
    signed = replace(estimated, signature=encode_signature(signer.configuration, opening, signature))
    assert len(signed.signature) <= len(stub)
    if is_traced_long:
        # Seconds each time, and once more for the bundle: it is taken, and handed to the entry point by hand.
        bundler.submit(signed)
        bundler.call("debug_bundler_clearState")
        bundled.world.handle(signed)
        return {}
    receipt = bundler.send(signed)
    return {
        "verificationGasLimit": estimated.verification_gas_limit,
        "actualGasUsed": int(receipt["actualGasUsed"], 16),
    }


def _run_modes(bundled: BundledWorld, bundler: Bundler, name: str, modes: Sequence[str]) -> dict[str, dict[str, int]]:
    """An account's life: made unregistered, acting by a proof, remembered, from memory, and registered."""
    world, keystore, signer = bundled.world, bundled.keystore, SIGNERS[name]
    owner = f"{name}, safe {bundler.safe}"
    vk = address_of(owner)
    key = compute_account_key(bytes(32), compute_data(signer.configuration), vk)
    account = world.account_of(key)
    world.fund(account)
    world.fund(RECIPIENT)
    keystore.register(configure_ecdsa(address_of(f"before {owner}")), f"before {owner}")
    world.mirror()
    absent = keystore.open_first(signer.configuration, vk)
    openings = {"creating": absent, "exclusion": absent, "remember": remember(absent), "cached": CACHED}
    found = {}
    for mode in modes:
        if mode == "inclusion":
            keystore.register(signer.configuration, owner)
            world.mirror()
            world.push(account)
            openings[mode] = keystore.open(key, signer.configuration, vk)
        code = b"" if world.has_code(account) else encode_init_code(world.factory, key, absent.root)
        operation = world.make_transfer(account, code)
        found[mode] = _estimate_and_send(bundled, bundler, signer, operation, openings[mode])
    return found


@pytest.mark.parametrize("name", SIGNERS)
def test_estimated_sent_included(bundled: BundledWorld, name: str) -> None:
    """In every mode nothing is refused or runs out of gas, and the figures are those under version control."""
    found = _run_modes(bundled, bundled.unsafe, name, MODES)
    kept = json.loads(FIGURES.read_text())[name]
    assert list(kept) == list(MODES)
    for mode, figures in kept.items():
        assert figures["actualGasUsed"] == pytest.approx(found[mode]["actualGasUsed"], rel=TOLERANCE), mode
        assert abs(figures["verificationGasLimit"] - found[mode]["verificationGasLimit"]) <= STEP, mode


@pytest.mark.parametrize(
    ("name", "modes"),
    [
        ("ECDSA", MODES),
        ("multisig 2 of 3", MODES),
        ("multisig 5 of 9", MODES),
        ("WebAuthn in Solidity", ("remember",)),
    ],
)
def test_by_the_rules_of_bundlers(bundled: BundledWorld, name: str, modes: Sequence[str]) -> None:
    """The same where each instruction of validation is looked at. What is computed in Solidity takes the bundler longer
    than it waits for an answer on a busy machine, so there is one of it here; `BY_RULES` holds all.
    """
    _run_modes(bundled, bundled.safe, name, modes)


@pytest.mark.parametrize("name", NATIVE)
def test_the_precompile_is_no_contract(bundled: BundledWorld, name: str) -> None:
    """The bundler takes a precompile for an address without code (OP-041), as others do that do not know it."""
    with pytest.raises(BundlerRefused, match=f"un-deployed contract address {NATIVE[name]}"):
        _run_modes(bundled, bundled.safe, name, ("creating",))


def _look_at_all(bundled: BundledWorld, name: str) -> dict[str, str]:
    """By the rules of bundlers, what becomes of each mode; minutes for what is computed in Solidity."""
    try:
        found = _run_modes(bundled, bundled.safe, name, MODES)
    except BundlerRefused as refused:
        if name not in NATIVE or NATIVE[name] not in str(refused):
            raise
        return dict.fromkeys(MODES, "not tried") | {MODES[0]: "refused: the precompile (OP-041)"}
    return {mode: f"taken, {cell['actualGasUsed']:,}" if cell else "taken" for mode, cell in found.items()}


if __name__ == "__main__":
    with run_bundled_world() as made:
        table = {name: _run_modes(made, made.unsafe, name, MODES) for name in SIGNERS}
        by_rules = {name: _look_at_all(made, name) for name in SIGNERS}
    FIGURES.write_text(json.dumps(table, indent=2) + "\n")
    BY_RULES.write_text(json.dumps(by_rules, indent=2) + "\n")
