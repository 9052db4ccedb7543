"""The entry point says AA24; `explain` says why, from the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from account_world import World, address_of, make_key, run_world
from apps.keystore.accounts import compute_account_key
from apps.keystore.smart_account import (
    CACHED,
    ENTRY_POINT,
    Configuration,
    Opening,
    UserOperation,
    compute_data,
    compute_user_operation_hash,
    configure_ecdsa,
    configure_multisig,
    configure_p256,
    configure_webauthn,
    encode_init_code,
    encode_p256,
    encode_signature,
    encode_user_operation_json,
    encode_webauthn,
    remember,
    sign_ecdsa,
    sign_multisig,
)
from apps.keystore.smart_account.command import main
from apps.keystore.smart_account.explain import CAUSES, explain
from apps.keystore.smart_account.user_operation import decode_user_operation_json
from explaining import explain_twice
from microrollup.crypto.ecdsa import sign_digest
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.webauthn import USER_PRESENT, compute_challenge
from microrollup.errors import UsageError
from microrollup.testing.passkey import P256Key, Passkey
from paths import ROOT

AA24 = "AA24 signature error"
GRACE_BLOCKS = 80


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An L2."""
    with run_world("--hardfork", "osaka") as made:
        yield made


class Subject:
    """A deployed account of a configuration, registered by a name, and its next operation."""

    def __init__(self, world: World, name: str, configuration: Configuration | None = None) -> None:
        self.world, self.name = world, name
        self.configuration = configuration or configure_ecdsa(address_of(name))
        self.key = world.keystore.register(self.configuration, name)
        world.mirror()
        self.account = world.account_of(self.key)
        world.fund(self.account)
        self.opening = self.open()
        self.init_code = encode_init_code(world.factory, self.key, self.opening.root)

    def open(self) -> Opening:
        return self.world.keystore.open(self.key, self.configuration, address_of(self.name))

    def make(self) -> UserOperation:
        """Its next operation, which makes it if need be."""
        code = b"" if self.world.has_code(self.account) else self.init_code
        return self.world.make_transfer(self.account, code)

    def sign(self, signature: bytes, opening: Opening | None = None) -> UserOperation:
        """The operation with a validator's signature."""
        encoded = encode_signature(self.configuration, opening or self.opening, signature)
        return replace(self.make(), signature=encoded)

    def sign_rightly(self, opening: Opening | None = None) -> UserOperation:
        return self.sign(sign_ecdsa(make_key(self.name), self.world.compute_hash(self.make())), opening)

    def create(self) -> None:
        self.world.handle(self.sign_rightly())


def check(world: World, operation: UserOperation, cause: str, **more: object) -> None:
    """The entry point says AA24, and this is why."""
    assert AA24 == world.refuse(operation)
    found = explain_twice(operation, world.anvil, **more)  # type: ignore[arg-type]
    assert cause == found.cause, found
    assert cause in CAUSES
    assert found.what
    assert found.remedy


def test_taken(world: World) -> None:
    """What is taken is said to be taken: made by its first operation, and later from memory."""
    subject = Subject(world, "taken")
    assert "taken" == explain_twice(subject.sign_rightly(), world.anvil).cause
    world.handle(subject.sign_rightly(remember(subject.opening)))
    assert "taken" == explain_twice(subject.sign_rightly(CACHED), world.anvil).cause


def test_what_is_no_signature(world: World) -> None:
    """Cut off, too long, of no mode, with a proof that leads nowhere."""
    subject = Subject(world, "malformed")
    subject.create()
    whole = subject.sign_rightly()
    for cut in (0, 1, 30, 80, 110):
        check(world, replace(whole, signature=whole.signature[:cut]), "malformed")
    check(world, subject.sign(bytes(65), Opening(2, b"more", b"")), "malformed")
    for mode in (0x05, 0x7F, 0x82, 0x83):
        check(world, replace(whole, signature=bytes((mode,)) + whole.signature[1:]), "unknown_mode")
    check(world, replace(whole, signature=whole.signature[:-1]), "malformed_proof")


def test_roots(world: World) -> None:
    """A root that nobody pushed, one that is forgotten, one that the chain has not heard of: three things to do."""
    subject = Subject(world, "roots")
    subject.create()
    first = subject.opening
    for number in range(2):
        world.keystore.register(configure_ecdsa(address_of(f"roots {number}")), f"roots {number}")
    check(world, subject.sign_rightly(subject.open()), "unknown_root")
    world.mirror()
    check(world, subject.sign_rightly(subject.open()), "not_pushed")
    for number in range(2, 8):
        world.push(subject.account)
        world.anvil.mine(GRACE_BLOCKS)
        world.keystore.register(configure_ecdsa(address_of(f"roots {number}")), f"roots {number}")
        world.mirror()
    check(world, subject.sign_rightly(first), "replaced")


def test_another_configuration(world: World) -> None:
    """The keystore holds another one: the bytes alone lead to an unknown root, what the keystore shows tells it."""
    subject = Subject(world, "configured")
    subject.create()
    other = configure_ecdsa(address_of("not configured"))
    # Between, or the proof with the old value would lead to the root before.
    world.keystore.register(configure_ecdsa(address_of("between")), "between")
    world.keystore.rotate(subject.key, other, "configured")
    world.mirror()
    world.push(subject.account)
    digest = world.compute_hash(subject.make())
    lying = Opening(0, world.keystore.open(subject.key, other, address_of("configured")).data, b"")
    operation = subject.sign(sign_ecdsa(make_key("configured"), digest), lying)
    check(world, operation, "unknown_root")
    check(world, operation, "other_configuration", shown=world.keystore.prove(subject.key))
    with pytest.raises(UsageError, match="not of 0x"):
        explain_twice(operation, world.anvil, shown=world.keystore.prove(keccak256(b"another key")))


def test_never_registered(world: World) -> None:
    """The key commits to another first configuration; and a key that was registered meanwhile has no exclusion."""
    configuration, vk = configure_ecdsa(address_of("first of all")), address_of("first of all")
    key = compute_account_key(bytes(32), compute_data(configuration), vk)
    world.mirror()
    account = world.account_of(key)
    world.fund(account)
    opening = world.keystore.open_first(configuration, vk)
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    other = configure_ecdsa(address_of("second of all"))
    check(world, world.sign(operation, other, opening, "second of all"), "not_first_configuration")
    world.handle(world.sign(operation, configuration, opening, "first of all"))
    world.keystore.register(configuration, "first of all")
    world.mirror()
    world.push(account)
    stale = world.keystore.open_first(configure_ecdsa(address_of("neighbour")), vk)
    later = Opening(1, bytes(32) + keccak256(vk) + stale.data[64:], b"")
    check(world, world.sign(world.make_transfer(account), configuration, later, "first of all"), "malformed_proof")


def test_memory_and_validator(world: World) -> None:
    """Nothing is remembered; and nothing is deployed where codeHash leads."""
    subject = Subject(world, "forgetful")
    subject.create()
    check(world, subject.sign_rightly(CACHED), "not_remembered")
    missing = Subject(world, "missing", Configuration(keccak256(b"nobody's code"), b""))
    check(world, missing.sign(b""), "no_validator")


def test_one_key(world: World) -> None:
    """Another key, another form, a text, another chain: each is told from the others."""
    subject = Subject(world, "keyed")
    subject.create()
    operation, key = subject.make(), make_key("keyed")
    digest = world.compute_hash(operation)
    right = sign_ecdsa(key, digest)
    check(world, subject.sign(sign_ecdsa(make_key("stranger"), digest)), "wrong_key")
    found = explain_twice(subject.sign(sign_ecdsa(make_key("stranger"), digest)), world.anvil)
    assert f"0x{address_of('stranger').hex()}" in found.what
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = right[:32] + (order - int.from_bytes(right[32:64], "big")).to_bytes(32, "big") + bytes((55 - right[64],))
    for form in (right[:64], right[:64] + bytes((right[64] - 27,)), high, right + b"\0"):
        check(world, subject.sign(form), "signature_form")
    text = keccak256(b"\x19Ethereum Signed Message:\n32" + digest)
    check(world, subject.sign(sign_digest(key, text)), "signed_as_text")
    for chain_id in (10, 4_242):
        elsewhere = sign_ecdsa(key, compute_user_operation_hash(operation, ENTRY_POINT, chain_id))
        check(world, subject.sign(elsewhere), "other_chain", chain_ids=(4_242,))
    assert "taken" == explain_twice(subject.sign(right), world.anvil).cause


def test_several_keys(world: World) -> None:
    """Too few, a stranger's, and the right ones in a wrong order."""
    names = ["one of three", "two of three", "three of three"]
    subject = Subject(world, "several", configure_multisig(2, [address_of(name) for name in names]))
    digest = world.compute_hash(subject.make())
    right = sign_multisig([make_key(name) for name in names[:2]], digest)
    check(world, subject.sign(right[:65]), "signature_form")
    check(world, subject.sign(right[65:] + right[:65]), "signer_order")
    check(world, subject.sign(right[:65] * 2), "signer_order")
    check(world, subject.sign(sign_multisig([make_key(names[0]), make_key("stranger")], digest)), "wrong_key")
    assert "taken" == explain_twice(subject.sign(right), world.anvil).cause


def test_passkeys(world: World) -> None:
    """Another challenge, a user who was only present, another passkey; and the bare P-256 key."""
    passkey = Passkey(keccak256(b"explained"))
    subject = Subject(world, "passkey", configure_webauthn(passkey.point))
    digest = world.compute_hash(subject.make())
    challenge = compute_challenge(digest)
    check(world, subject.sign(encode_webauthn(passkey.sign(keccak256(digest)))), "other_challenge")
    present = passkey.encode(passkey.get_assertion(challenge, flags=USER_PRESENT))
    check(world, subject.sign(encode_webauthn(present)), "user_not_verified")
    check(world, subject.sign(encode_webauthn(Passkey(keccak256(b"other")).sign(digest))), "wrong_key")
    check(world, subject.sign(encode_webauthn(passkey.sign(digest))[:60]), "signature_form")
    assert "taken" == explain_twice(subject.sign(encode_webauthn(passkey.sign(digest))), world.anvil).cause

    bare = P256Key(keccak256(b"explained"))
    subject = Subject(world, "p256", configure_p256(bare.point))
    digest = world.compute_hash(subject.make())
    check(world, subject.sign(encode_p256(bare.sign(keccak256(digest)))), "wrong_key")
    check(world, subject.sign(encode_p256(bare.sign(digest))[:-1]), "signature_form")


def test_no_account(world: World) -> None:
    """The sender is something else, or nothing."""
    for sender in (ENTRY_POINT, keccak256(b"nothing")[12:]):
        operation = UserOperation(sender, 0, b"", signature=b"\2")
        assert "no_account" == explain_twice(operation, world.anvil).cause


def test_code_of_an_account_s_length(world: World) -> None:
    """What is as long as an account, and answers nothing or a word, is none."""
    sender = keccak256(b"as long as an account")[12:]
    for code in ("5f5ff3", "60205ff3"):
        world.anvil.call("anvil_setCode", f"0x{sender.hex()}", f"0x{code:0<154}")
        assert "no_account" == explain(UserOperation(sender, 0, b"", signature=b"\2"), world.anvil).cause


def test_command(world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The operation as bundlers take it, with what the keystore shows; the exit code says whether it is taken."""
    subject = Subject(world, "commanded")
    digest = world.compute_hash(subject.make())
    proof = tmp_path / "proof.json"
    for signer, cause, code in (("commanded", "taken", 0), ("stranger", "wrong_key", 1)):
        operation = subject.sign(sign_ecdsa(make_key(signer), digest))
        document = encode_user_operation_json(operation)
        assert operation == decode_user_operation_json(document)
        file = tmp_path / f"{signer}.json"
        file.write_text(json.dumps(document))
        assert code == main(["explain", str(file), "--chain", world.anvil.url, "--json"])
        assert cause == json.loads(capfd.readouterr().out)["cause"]
    assert 2 == main(["explain", str(file), "--chain", world.anvil.url, "--proof", str(file)])
    proof.write_text("[]")
    assert 2 == main(["explain", str(proof), "--chain", world.anvil.url])


def test_every_cause_has_words() -> None:
    """The reference of causes is this table."""
    page = (ROOT / "microrollup" / "docs" / "guides" / "keystore" / "accounts.md").read_text()
    assert [cause for cause in CAUSES if f"| `{cause}` | {CAUSES[cause]} |" not in page] == []
