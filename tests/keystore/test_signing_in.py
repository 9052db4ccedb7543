"""Signing in: messages of accounts that nobody has deployed yet, and of those that are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from eth_abi.abi import encode

from account_world import World, address_of, make_key, run_world, show
from apps.keystore.accounts import compute_account_key
from apps.keystore.smart_account import (
    Configuration,
    compute_account_address,
    compute_data,
    compute_factory_address,
    compute_personal_sign_digest,
    configure_ecdsa,
    encode_factory_creation,
    encode_signature,
    load_creation_code,
    sign_ecdsa,
)
from l1_fixtures import FOUNDRY
from microrollup.crypto.keccak import keccak256
from npm import install_npm
from paths import TESTS

TEXT = "Sign in to wallet.example"
HASH = keccak256(f"\x19Ethereum Signed Message:\n{len(TEXT)}{TEXT}".encode())
YES, NO = bytes.fromhex("1626ba7e"), b"\xff" * 4
MAGIC = bytes.fromhex("6492" * 16)
"""The end of a signature of ERC-6492."""


class Site(NamedTuple):
    """An L2 with a closed factory, for EntryPoint 0.8, and an open one, for 0.9."""

    world: World
    closed: bytes
    open: bytes


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Each factory has a verifier beside it."""
    with run_world("--hardfork", "osaka") as world:
        artifact = FOUNDRY / "node_modules" / "account-abstraction-0.9" / "artifacts" / "EntryPoint.json"
        code = bytes.fromhex(json.loads(artifact.read_text())["bytecode"][2:])
        entry_point = world.deploy(code)
        owner = bytes.fromhex(world.funder[2:])
        factory = world.deploy(encode_factory_creation(world.roots, owner, entry_point))
        assert compute_factory_address(world.roots, owner, entry_point) == factory
        yield Site(world, world.factory, factory)


class Person(NamedTuple):
    """Somebody with one key, registered on the keystore or not, and an account of a factory."""

    configuration: Configuration
    name: str
    key: bytes
    account: bytes


def make_person(site: Site, factory: bytes, name: str) -> Person:
    """Not registered: the first configuration is shown by the key's absence."""
    configuration = configure_ecdsa(address_of(name))
    key = compute_account_key(bytes(32), compute_data(configuration), address_of(name))
    return Person(configuration, name, key, compute_account_address(factory, key))


def sign_in(site: Site, person: Person, signer: str | None = None, *, foreign: Person | None = None) -> bytes:
    """The person's signature of the text; by another key, or with what shows another's configuration."""
    shown = foreign or person
    opening = site.world.keystore.open_first(shown.configuration, address_of(shown.name))
    digest = compute_personal_sign_digest(person.account, site.world.chain_id, HASH)
    signature = sign_ecdsa(make_key(signer or person.name), digest)
    return encode_signature(shown.configuration, opening, signature)


def wrap(site: Site, factory: bytes, person: Person, signature: bytes) -> bytes:
    """ERC-6492: how the account is made, before the signature that it takes then."""
    root, _height = site.world.keystore.get_root()
    call = site.world.call_contract(factory, "KeystoreAccountFactory").encode("createAccount", person.key, root)
    return encode(["address", "bytes", "bytes"], [factory, bytes.fromhex(call[2:]), signature]) + MAGIC


def ask_viem(site: Site, *cases: tuple[Person, bytes]) -> list[bool]:
    """What viem's `verifyMessage` says."""
    folder = install_npm(TESTS / "wallets")
    given: dict[str, Any] = {
        "url": site.world.anvil.url,
        "chainId": site.world.chain_id,
        "cases": [
            {"address": show(person.account), "message": TEXT, "signature": show(signature)}
            for person, signature in cases
        ],
    }
    completed = subprocess.run(
        ["node", "verify_viem.mjs"], cwd=folder, input=json.dumps(given), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert 0 == completed.returncode, completed.stderr
    answers: list[bool] = json.loads(completed.stdout)
    return answers


def test_before_deployment_by_the_verifier(site: Site) -> None:
    """`KeystoreVerifier` answers for an account that is not there; a foreign key or opening is a no."""
    world = site.world
    world.keystore.register(configure_ecdsa(address_of("somebody")), "somebody")
    world.mirror()
    person, stranger = make_person(site, site.closed, "early"), make_person(site, site.closed, "stranger")
    arguments = site.world.roots.rjust(32, b"\0") + site.closed.rjust(32, b"\0")
    verifier = world.call_contract(world.deploy(load_creation_code("KeystoreVerifier") + arguments), "KeystoreVerifier")
    assert not world.has_code(person.account)
    assert (YES,) == verifier.call("isValidSignature", person.key, HASH, sign_in(site, person))
    assert (NO,) == verifier.call("isValidSignature", person.key, HASH, sign_in(site, person, "stranger"))
    foreign = sign_in(site, person, "stranger", foreign=stranger)
    assert (NO,) == verifier.call("isValidSignature", person.key, HASH, foreign)
    assert (NO,) == verifier.call("isValidSignature", stranger.key, HASH, sign_in(site, person))
    assert (NO,) == verifier.call("isValidSignature", person.key, keccak256(b"another text"), sign_in(site, person))


def test_before_deployment_by_viem(site: Site) -> None:
    """Viem makes the account in a call (ERC-6492) through an open factory; a closed one does not let it."""
    world = site.world
    world.keystore.register(configure_ecdsa(address_of("somebody else")), "somebody else")
    world.mirror()
    person, stranger = make_person(site, site.open, "visitor"), make_person(site, site.open, "stranger")
    enclosed = make_person(site, site.closed, "visitor")
    right = wrap(site, site.open, person, sign_in(site, person))
    wrong = wrap(site, site.open, person, sign_in(site, person, "stranger"))
    foreign = wrap(site, site.open, person, sign_in(site, person, "stranger", foreign=stranger))
    closed = wrap(site, site.closed, enclosed, sign_in(site, enclosed))
    cases = [(person, right), (person, wrong), (person, foreign), (stranger, right), (enclosed, closed)]
    assert [True, False, False, False, False] == ask_viem(site, *cases)
    assert not world.has_code(person.account)


def test_deployed(site: Site) -> None:
    """The same signature, with ERC-6492's wrapping or without, once the account is there."""
    world = site.world
    world.keystore.register(configure_ecdsa(address_of("somebody more")), "somebody more")
    world.mirror()
    person = make_person(site, site.open, "resident")
    root, _height = world.keystore.get_root()
    world.call_contract(site.open, "KeystoreAccountFactory").send(
        "createAccount", person.key, root, sender=world.funder
    )
    signature = sign_in(site, person)
    wrong = sign_in(site, person, "stranger")
    cases = [(person, signature), (person, wrap(site, site.open, person, signature)), (person, wrong)]
    assert [True, True, False] == ask_viem(site, *cases)
