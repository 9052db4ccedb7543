"""Entries: signed and forced records made ready to execute, and told apart from the kernel's own."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings

from kernel_fixtures import Signer, make_random_edit, make_steps, make_test_genesis, mutate
from microrollup import Action, Context, MicroRollup, State, Uint8
from microrollup.chain.receipt import EXECUTED, INVALID_FORCED, VOIDED_FORCED
from microrollup.chain.record import Forced, encode_record
from microrollup.errors import DecodeError, RefusedError, TooLarge, ValueOutOfBounds
from microrollup.execution.authentication import Authenticator
from microrollup.execution.entry import (
    decode_kernel_record,
    is_forced_record,
    make_forced_entry,
    make_signed_entry,
)
from microrollup.execution.payload import (
    CARRIED_FORMAT,
    FORCED_FORMAT,
    encode_carried_payload,
    encode_forced_payload,
    find_carried_record,
)
from microrollup.execution.stf import Entry
from microrollup.primitives import MAX_FORCED_PAYLOAD_BYTES
from microrollup.settlement.forced import compute_forced_id
from microrollup.testing.strategies import actions
from zoo import Edit, Misbehave, zoo

GENESIS = make_test_genesis(zoo)
AUTHENTICATOR = Authenticator(zoo.action_types, GENESIS.domain)
ROLLUP_ID = bytes(range(32))
SENDER = b"\x07" * 20


def make(payload: bytes, *, voided: bool = False) -> Forced:
    return Forced(3, SENDER, 9, payload, voided)


def make_entry(forced: Forced) -> Entry:
    return make_forced_entry(zoo, ROLLUP_ID, forced, AUTHENTICATOR)


@given(actions(Edit))
@settings(max_examples=60)
def test_forced_payload(action: Edit) -> None:
    """A payload carries an action; the entry is the caller's, has no nonce, and is known by its place in the queue."""
    payload = encode_forced_payload(zoo, action)
    assert FORCED_FORMAT == payload[:1]
    if len(payload) > MAX_FORCED_PAYLOAD_BYTES:
        return
    entry = make_entry(make(payload))
    assert (action, EXECUTED, None, SENDER) == (entry.action, entry.status, entry.nonce, entry.sender)
    assert compute_forced_id(ROLLUP_ID, 3) == entry.action_hash
    assert encode_record(make(payload)) == entry.record


def test_carried_payload() -> None:
    """It is its signer's, with the signer's nonce and the queue's identity; its record is read again unless invalid."""
    signed = Signer(zoo, GENESIS).sign(make_steps(("count", 0, 1)), nonce=5)
    payload = encode_carried_payload(signed.record)
    assert CARRIED_FORMAT == payload[:1]
    entry = make_entry(make(payload))
    assert (EXECUTED, "forced", "signed") == (entry.status, entry.kind, entry.origin)
    assert (signed.sender, 5, signed.action_hash) == (entry.sender, entry.nonce, entry.signed_hash)
    assert (SENDER, compute_forced_id(ROLLUP_ID, 3)) == (entry.l1_sender, entry.action_hash)
    assert signed.record == find_carried_record(make(payload), EXECUTED)
    assert find_carried_record(make(payload), INVALID_FORCED) is None
    assert find_carried_record(make(payload, voided=True), VOIDED_FORCED) is None
    assert find_carried_record(make(FORCED_FORMAT + signed.record), EXECUTED) is None
    assert VOIDED_FORCED == make_entry(make(payload, voided=True)).status


@pytest.mark.parametrize("seed", range(20))
def test_hostile_carried_payloads(seed: int) -> None:
    """Altered bytes decode to an action whose record they are, or to none; nothing else is raised."""
    rng, good = Random(seed), encode_carried_payload(Signer(zoo, GENESIS).sign(make_steps(("count", 0, 1))).record)
    for _ in range(100):
        payload = mutate(rng, good)
        entry = make_entry(make(payload))
        if entry.action is None:
            assert (INVALID_FORCED, None, None) == (entry.status, entry.nonce, entry.signed_hash)
        elif entry.origin == "signed":
            assert AUTHENTICATOR.authenticate_record(payload[1:]).action_hash == entry.signed_hash


def test_a_record_that_does_not_fit() -> None:
    """A signed action of 8,191 bytes can be carried, one of 8,192 cannot."""
    assert MAX_FORCED_PAYLOAD_BYTES == len(encode_carried_payload(bytes(MAX_FORCED_PAYLOAD_BYTES - 1)))
    with pytest.raises(TooLarge):
        encode_carried_payload(bytes(MAX_FORCED_PAYLOAD_BYTES))


def test_voided() -> None:
    """A voided entry executes nothing, whether it decodes or not."""
    for payload in (encode_forced_payload(zoo, make_steps()), b"nonsense"):
        entry = make_entry(make(payload, voided=True))
        assert (None, VOIDED_FORCED) == (entry.action, entry.status)


def test_hostile_payloads() -> None:
    """Any payload makes an entry: an action that encodes to the very same bytes, or an invalid one."""
    rng = Random(1)
    executed = 0
    for _ in range(3_000):
        payload = mutate(rng, encode_forced_payload(zoo, rng.choice((make_random_edit(rng), Misbehave("x")))))
        entry = make_entry(make(payload))
        if entry.action is None:
            assert INVALID_FORCED == entry.status
        else:
            executed += 1
            assert payload == encode_forced_payload(zoo, entry.action)
    assert 30 < executed < 1_500


def test_payload_limit() -> None:
    """A payload of more than 8 KiB is invalid, if L1 ever let one in."""
    small, large = (encode_forced_payload(zoo, make_steps(*[("count", 0, 0)] * count)) for count in (60, 100))
    assert len(small) < MAX_FORCED_PAYLOAD_BYTES < len(large)
    assert EXECUTED == make_entry(make(small)).status
    assert INVALID_FORCED == make_entry(make(large)).status


def test_payload_of_what_is_no_action() -> None:
    """Other rollups' actions and values out of bounds make no payload."""

    class Foreign(Action, frozen=True):
        by: Uint8

    for action in (Foreign(1), None, "Edit", Edit):
        with pytest.raises(DecodeError):
            encode_forced_payload(zoo, action)
    with pytest.raises(ValueOutOfBounds):
        encode_forced_payload(zoo, Edit([], reject=1))  # type: ignore[arg-type]


def test_signed_entry() -> None:
    """A signed entry is the action with its signer, nonce and hash, and the record as it was."""
    signed = Signer(zoo, GENESIS).sign(make_steps(("count", 0, 5)), "alice", 7)
    entry = make_signed_entry(zoo, signed)
    assert (make_steps(("count", 0, 5)), 7, EXECUTED) == (entry.action, entry.nonce, entry.status)
    assert (signed.record, signed.sender, signed.action_hash) == (entry.record, entry.sender, entry.action_hash)
    assert decode_kernel_record(signed.record) is None
    assert not is_forced_record(signed.record)


def test_hostile_signed_records() -> None:
    """Mutated records authenticate to somebody, or are refused with our errors."""
    signer, authenticator, rng = Signer(zoo, GENESIS), Authenticator(zoo.action_types, GENESIS.domain), Random(2)
    passed = 0
    for _ in range(1_500):
        raw = mutate(rng, signer.sign(make_random_edit(rng)).record)
        try:
            authenticated = authenticator.authenticate_record(raw)
        except (DecodeError, RefusedError):
            continue
        passed += 1
        assert raw == make_signed_entry(zoo, authenticated).record
    assert passed > 20


@pytest.mark.parametrize("length", [1, 31, 32, 98, 99, 100, 103, 111, 114, 115, 255])
def test_long_names_are_no_kernel_records(length: int) -> None:
    """An action type may have a name of any length: its records are never taken for the kernel's."""
    name = "A" * length
    cls = msgspec.defstruct(name, [("by", Uint8)], bases=(Action,), frozen=True)

    class Named(State, frozen=True):
        value: Uint8 = 0

    def stf(state: Named, action: Action, ctx: Context) -> Named:
        return state

    stf.__annotations__ = {"state": Named, "action": cls, "ctx": Context, "return": Named}
    rollup = MicroRollup(name="named", version="1", genesis=Named(), stfs=[stf])
    signed = Signer(rollup, make_test_genesis(rollup)).sign(cls(1))
    assert decode_kernel_record(signed.record) is None
    assert cls(1) == make_signed_entry(rollup, signed).action
