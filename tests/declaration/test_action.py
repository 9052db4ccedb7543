"""Action types are compiled once: EIP-712 names, stored records, JSON and forced arguments."""

from __future__ import annotations

import json

import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.codec.json_text import parse_json
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action, ActionTypes, Event, SignedRecord
from microrollup.errors import DeclarationError, DecodeError, MissingMember, UnknownMember, ValueOutOfBounds
from microrollup.primitives import Address, Bytes, Bytes32, Uint64, Uint256
from microrollup.testing.strategies import actions
from shapes import action_classes, define_action

SIGNATURE = b"\x01" * 64 + b"\x01"


class Rotate(Action, frozen=True):
    """An action that msgspec encodes as it is."""

    code_hash: Bytes32
    vk: Bytes


class Pay(Action, frozen=True):
    """An action that needs a twin on the wire."""

    to: list[Address]
    amount: Uint256


class Ping(Action, frozen=True):
    """An action without members."""


TYPES = ActionTypes([Rotate, Pay, Ping])
ROTATE = Rotate(b"\x11" * 32, b"\x22" * 3)


def test_the_bases_are_strict_arrays() -> None:
    """Actions and events cannot change, are arrays on the wire, and take no further items."""
    for base in (Action, Event):
        config = base.__struct_config__
        assert (True, True, True) == (config.frozen, config.array_like, config.forbid_unknown_fields)


def test_types_are_found_by_name_hash_and_record() -> None:
    """The type hash is EIP-712's; the collection keeps the declared order."""
    rotate = TYPES.by_name["Rotate"]
    assert "Rotate(bytes32 codeHash,bytes vk,uint64 nonce)" == rotate.type_string
    assert keccak256(rotate.type_string.encode()) == rotate.type_hash
    assert rotate is TYPES.by_type_hash[rotate.type_hash]
    assert rotate is TYPES.by_record_type[rotate.record_type]
    assert "Rotate{code_hash:bytes32,vk:bytes}" == rotate.schema
    assert ["Rotate", "Pay", "Ping"] == [action_type.name for action_type in TYPES]
    assert 3 == len(TYPES) == len(TYPES.record_types)


def test_the_record_is_pinned() -> None:
    """`[type, [members...], nonce, signature]` in canonical msgpack."""
    raw = TYPES.by_name["Rotate"].encode_record(ROTATE, 7, SIGNATURE)
    expected = b"\x94" + b"\xa6Rotate" + b"\x92" + b"\xc4\x20" + b"\x11" * 32 + b"\xc4\x03" + b"\x22" * 3
    expected += b"\x07" + b"\xc4\x41" + SIGNATURE
    assert expected == raw
    record = TYPES.decode_record(raw)
    assert (ROTATE, 7, SIGNATURE) == (TYPES.to_action(record), record.nonce, record.signature)
    assert record.action is TYPES.to_action(record)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_records_survive(data: st.DataObject) -> None:
    """decode(encode(action)) is the action for every shape; its JSON reads back to it."""
    cls = data.draw(action_classes())
    try:
        types = ActionTypes([cls])
    except DeclarationError:
        return  # two random structs drew one name
    action, nonce = data.draw(actions(cls)), data.draw(st.integers(0, 2**64 - 1))
    action_type = types.by_name[cls.__name__]
    action_type.check(action)
    record = types.decode_record(action_type.encode_record(action, nonce, SIGNATURE))
    assert isinstance(record, SignedRecord)
    assert (action, nonce) == (types.to_action(record), record.nonce)
    assert action == action_type.decode_arguments(action_type.encode_arguments(action))
    document = parse_json(json.dumps(types.to_json(record)).encode())
    assert (action, nonce) == action_type.read_message(document["message"])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x94\xa4Pong\x90\x00\xc4\x41" + SIGNATURE,  # no such type
        b"\x94\xa4Ping\x90\x00\xc4\x40" + SIGNATURE[:64],  # a short signature
        b"\x94\xa4Ping\x90\xff\xc4\x41" + SIGNATURE,  # a negative nonce
        b"\x94\xa4Ping\x91\x00\x00\xc4\x41" + SIGNATURE,  # a member more
        b"\x95\xa4Ping\x90\x00\xc4\x41" + SIGNATURE + b"\x00",  # an item more
        b"\x94\xa4Ping\x90\x00\xc4\x41" + SIGNATURE + b"\x00",  # a byte more
        b"\x94\xa4Ping\x90\xcc\x00\xc4\x41" + SIGNATURE,  # a nonce written longer than it is
        b"\x94\xa4Ping\x90\x00\xc5\x00\x41" + SIGNATURE,  # a signature written longer than it is
        b"\x94\xa6Rotate\x92\xc4\x20" + bytes(32) + b"\xc5\x40\x00" + bytes(16384) + b"\x00\xc4\x41" + SIGNATURE,
        b"\x91" * 5000,
    ],
)
def test_other_records_are_refused(raw: bytes) -> None:
    """Only the canonical record of a declared type, at most 16 KiB, is read."""
    with pytest.raises(DecodeError):
        TYPES.decode_record(raw)
    assert Ping() == TYPES.to_action(TYPES.decode_record(b"\x94\xa4Ping\x90\x00\xc4\x41" + SIGNATURE))


def test_an_action_is_checked() -> None:
    """An action that an STF's test or a tool makes out of bounds is found before it is encoded."""
    TYPES.by_name["Pay"].check(Pay([bytes(20)], 2**256 - 1))
    with pytest.raises(ValueOutOfBounds, match=r"Pay\.amount"):
        TYPES.by_name["Pay"].check(Pay([bytes(20)], 2**256))


def test_the_json_form_is_pinned() -> None:
    """Wallets' form: camelCase members, 0x-hex, v as 27 or 28, large integers as strings."""
    raw = TYPES.by_name["Pay"].encode_record(Pay([b"\x33" * 20], 2**60), 2**53, SIGNATURE)
    expected = {
        "type": "Pay",
        "message": {"to": [f"0x{'33' * 20}"], "amount": str(2**60), "nonce": str(2**53)},
        "signature": f"0x{'01' * 64}1c",
    }
    assert expected == TYPES.to_json(TYPES.decode_record(raw))


def test_a_message_has_the_members_and_the_nonce() -> None:
    """Nothing less, nothing more."""
    read = TYPES.by_name["Ping"].read_message
    assert (Ping(), 3) == read({"nonce": 3})
    with pytest.raises(MissingMember, match="nonce"):
        read({})
    with pytest.raises(UnknownMember, match="memo"):
        read({"nonce": 3, "memo": ""})


def test_forced_arguments_begin_with_the_type_hash() -> None:
    """`abi.encode(typeHash, members...)` as one argument list, and only under the type's own hash."""
    rotate, ping = TYPES.by_name["Rotate"], TYPES.by_name["Ping"]
    expected = abi_encode(["bytes32", "bytes32", "bytes"], [rotate.type_hash, ROTATE.code_hash, ROTATE.vk])
    assert expected == rotate.encode_arguments(ROTATE)
    assert ROTATE == rotate.decode_arguments(expected)
    assert Ping() == ping.decode_arguments(ping.type_hash)
    for raw in (rotate.type_hash, ping.type_hash[:-1], ping.type_hash + bytes(32), b""):
        with pytest.raises(DecodeError):
            ping.decode_arguments(raw)


def test_names_are_taken_once() -> None:
    """Two actions of one name, or EIP-712's own name, are refused."""
    other = define_action("Rotate", [("x", Uint64)])
    with pytest.raises(DeclarationError, match="two actions"):
        ActionTypes([Rotate, other])
    domain = define_action("EIP712Domain", [("x", Uint64)])
    with pytest.raises(DeclarationError, match="belongs to EIP-712"):
        ActionTypes([domain])


def test_no_actions_are_refused() -> None:
    """Without an action type there is no record that could be read."""
    with pytest.raises(DeclarationError, match="at least one action"):
        ActionTypes([])


def test_sender_is_the_kernel_s_word() -> None:
    """An action's own member `sender` would stand beside the one that members of a group sign: refused."""

    class Pay(Action, frozen=True):
        sender: Bytes32

    with pytest.raises(DeclarationError, match="sender"):
        ActionTypes([Pay])
