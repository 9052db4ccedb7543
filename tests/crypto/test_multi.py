"""Scheme 4: groups of senders, whose members sign for the group and for nothing else."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.transitions import Register, Update
from kernel_fixtures import Chain, make_key
from microrollup.chain.receipt import EXECUTED, REJECTED
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.eip712 import compile_member_digest, compute_domain_separator, typed_data
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures import multi
from microrollup.crypto.signatures.schemes import MAX_SIGNATURE_BYTES, canonicalize
from microrollup.errors import BadSignature, RefusedError, UnknownScheme, WrongLength
from microrollup.execution.authentication import Authenticator
from microrollup.sequencer.sequencer import Sequenced
from microrollup.testing.keys import Ed25519Key, GroupKey, MlDsaKey, WinternitzKey
from microrollup.testing.passkey import P256Key, Passkey
from microrollup.testing.signing import sign_action

WALLET = make_key("wallet of a group")
KEYS = [WALLET, Ed25519Key(b"\x21" * 32), Passkey(b"\x22" * 32), P256Key(b"\x23" * 32)]
GROUP = GroupKey(2, KEYS, signing=[0, 2])
REGISTER = Register(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32)
AUTHENTICATOR = Authenticator(app.action_types, app.make_domain())


def get_signature(line: bytes) -> bytes:
    """The signature of a line."""
    return bytes.fromhex(json.loads(line)["signature"][2:])


def with_signature(line: bytes, signature: bytes) -> bytes:
    """A line with another signature."""
    return json.dumps(json.loads(line) | {"signature": f"0x{signature.hex()}"}).encode()


LINE = sign_action(app, REGISTER, 0, GROUP)
SIGNATURE = get_signature(LINE)
HEAD = SIGNATURE[: 3 + 20 * 4]


def split() -> list[bytes]:
    """The two members' parts, index and length included."""
    first = len(HEAD)
    second = first + 3 + int.from_bytes(SIGNATURE[first + 1 : first + 3], "big")
    return [SIGNATURE[first:second], SIGNATURE[second:]]


@pytest.mark.parametrize("signing", [[0, 1], [0, 2], [1, 3], [2, 3], [1, 2]])
def test_any_two_of_four(signing: list[int]) -> None:
    """Whichever members sign, with keys of four kinds, the sender is the group's, and line and record agree."""
    line = sign_action(app, REGISTER, 0, GroupKey(2, KEYS, signing=signing))
    outcome = AUTHENTICATOR.authenticate_line(line)
    assert GROUP.sender == outcome.sender == keccak256(HEAD)[12:]
    assert outcome == AUTHENTICATOR.authenticate_record(outcome.record)
    assert AUTHENTICATOR.authenticate_line(LINE).action_hash == outcome.action_hash


def test_a_member_s_signature_alone_is_worth_nothing() -> None:
    """Taken out of the group's, it is neither the member's own action nor another group's."""
    for part in split():
        try:
            found = AUTHENTICATOR.authenticate_line(with_signature(LINE, part[3:])).sender
        except RefusedError:
            continue
        assert found != compute_address(WALLET)
        assert found not in {key.sender for key in KEYS[1:]}  # type: ignore[union-attr]
    smaller = GroupKey(1, KEYS[:1], signing=[0])
    head = get_signature(sign_action(app, REGISTER, 0, smaller))[:23]
    wallet_part = next(part for part in split() if len(part) == 68)
    with pytest.raises(BadSignature, match="did not make"):
        AUTHENTICATOR.authenticate_line(with_signature(LINE, head + b"\0" + wallet_part[1:]))


def test_a_member_s_own_action_is_not_the_group_s() -> None:
    """What a member signed for himself counts for no group."""
    alone = get_signature(sign_action(app, REGISTER, 0, WALLET))
    index = sorted([compute_address(WALLET), *[key.sender for key in KEYS[1:]]]).index(compute_address(WALLET))  # type: ignore[union-attr]
    parts = [part if part[0] != index else part[:3] + canonicalize(alone) for part in split()]
    with pytest.raises(BadSignature, match=f"member {index}"):
        AUTHENTICATOR.authenticate_line(with_signature(LINE, HEAD + b"".join(parts)))


LIES = {
    "a signature twice": lambda: HEAD + split()[0] * 2,
    "the other order": lambda: HEAD + b"".join(reversed(split())),
    "one too few": lambda: HEAD + split()[0],
    "one too many": lambda: HEAD + b"".join(split()) + split()[1],
    "bytes behind": lambda: SIGNATURE + b"\0",
    "cut off": lambda: SIGNATURE[:-1],
    "cut off in a head": lambda: HEAD + split()[0] + b"\3\0",
    "an index beyond": lambda: HEAD + split()[0] + b"\4" + split()[1][1:],
    "no threshold": lambda: b"\4\0" + SIGNATURE[2:],
    "a threshold beyond": lambda: b"\4\5" + SIGNATURE[2:],
    "a lower threshold": lambda: b"\4\1" + HEAD[2:] + split()[0],
    "members out of order": lambda: HEAD[:3] + HEAD[23:43] + HEAD[3:23] + HEAD[43:] + b"".join(split()),
    "a member twice": lambda: HEAD[:3] + HEAD[3:23] * 2 + HEAD[43:] + b"".join(split()),
    "no members": lambda: b"\4\1\0" + split()[0] + bytes(40),
    "more members than bytes": lambda: b"\4\1\xff" + bytes(200),
}


@pytest.mark.parametrize("lie", LIES)
def test_malformed_groups(lie: str) -> None:
    """Every other form is refused, or is another group's; none is this group's sender."""
    try:
        found = AUTHENTICATOR.authenticate_line(with_signature(LINE, LIES[lie]()))
    except (WrongLength, BadSignature):
        return
    assert found.sender != GROUP.sender


@pytest.mark.parametrize("key", [GROUP, MlDsaKey(b"\x31" * 32), WinternitzKey(b"\x32" * 32)], ids=["4", "6", "7"])
def test_no_groups_within_groups(key: object) -> None:
    """Members use wallets, P-256, passkeys and Ed25519; a group, ML-DSA or Winternitz within is refused."""
    inner = get_signature(sign_action(app, REGISTER, 0, key))  # type: ignore[arg-type]
    raw = bytes((4, 1, 1)) + bytes(20) + b"\0" + len(inner).to_bytes(2, "big") + inner
    with pytest.raises(UnknownScheme):
        canonicalize(raw[:MAX_SIGNATURE_BYTES])


def test_wallets_sign_for_a_group() -> None:
    """`typed_data` for a member is what a wallet signs: its type ends with `address sender`, the group's."""
    domain = app.make_domain()
    document = typed_data(
        app.action_types.by_name["Register"].type, REGISTER, 0, name=domain.name, version=domain.version,
        chain_id=domain.chain_id, contract=domain.verifying_contract, group=GROUP.sender,
    )  # fmt: skip
    assert [{"name": "nonce", "type": "uint64"}, {"name": "sender", "type": "address"}] == document["types"][
        "Register"
    ][-2:]
    assert f"0x{GROUP.sender.hex()}" == document["message"]["sender"]
    from eth_account.messages import _hash_eip191_message, encode_typed_data

    separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
    compute = compile_member_digest(app.action_types.by_name["Register"].type, separator)
    assert _hash_eip191_message(encode_typed_data(full_message=document)) == compute(REGISTER, 0, GROUP.sender)


def test_a_group_owns_a_keystore_account(tmp_path) -> None:
    """Two of three keys of three kinds register an account and rotate it to another group; one alone cannot."""
    with closing(Chain(tmp_path / "chain", app)) as chain:
        authenticator = Authenticator(app.action_types, chain.genesis.domain)

        def submit(action: object, nonce: int, key: object) -> int:
            line = sign_action(app, action, nonce, key, chain.genesis.domain)  # type: ignore[arg-type]
            (outcome,) = chain.submit(authenticator.authenticate_line(line))
            assert isinstance(outcome, Sequenced)
            return outcome.receipt.status

        group = GroupKey(2, KEYS[:3], signing=[1, 2])
        assert EXECUTED == submit(REGISTER, 0, group)
        key = compute_account_key(REGISTER.salt, REGISTER.code_hash + REGISTER.config_hash, group.sender)
        successor = GroupKey(1, [KEYS[3]], signing=[0])
        update = Update(key, b"\x04" * 32, b"\x05" * 32, successor.sender)
        assert REJECTED == submit(update, 0, WALLET)
        assert EXECUTED == submit(update, 1, GroupKey(2, KEYS[:3], signing=[0, 1]))
        assert EXECUTED == submit(Update(key, b"\x06" * 32, b"\x07" * 32, group.sender), 0, successor)


def test_the_form_has_bounds() -> None:
    """A group signature is at most 8,192 bytes as it is stored; no group has none or more than 255 members."""
    members = b"".join(number.to_bytes(20, "big") for number in range(94))
    compact = bytes((1,)) * 64  # EIP-2098; a byte longer in its stored form
    parts = b"".join(bytes((index, 0, 64)) + compact for index in range(94))
    grows = bytes((4, 94, 94)) + members + parts
    assert len(grows) <= 8_192
    with pytest.raises(WrongLength, match="as it is stored"):
        canonicalize(grows)
    with pytest.raises(WrongLength):
        canonicalize(b"\4\1\1" + bytes(8_192))
    for threshold, count in ((0, 1), (2, 1), (1, 0), (1, 256)):
        with pytest.raises(BadSignature):
            multi.compute_sender(threshold, tuple(number.to_bytes(20, "big") for number in range(count)))
