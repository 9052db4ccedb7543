"""Digests are those of the published standard and of eth-account; the JSON document is what wallets take."""

from __future__ import annotations

import json
from types import GenericAlias
from typing import Any

import msgspec
import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from microrollup.codec.schema import describe_struct
from microrollup.crypto.eip712 import (
    compile_digest,
    compile_struct_hash,
    compute_domain_separator,
    compute_type_hash,
    encode_type,
    typed_data,
)
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.errors import DeclarationError
from microrollup.primitives import Address, Uint8, Uint64
from microrollup.testing.strategies import values
from shapes import action_classes, define_action

CONTRACT = bytes.fromhex("cc" * 20)


class Person(msgspec.Struct, frozen=True):
    """The standard's example."""

    name: str
    wallet: Address


class Mail(Action, frozen=True):
    """The standard's example."""

    from_: Person
    to: Person
    contents: str


class Group(Action, frozen=True):
    """Refers to structs directly and through arrays."""

    zebras: list[list[Person]]
    first: Mail
    count: Uint8


def compute_digest_by_eth_account(document: dict[str, Any]) -> bytes:
    """The digest that eth-account signs for a typed-data document, as it comes over a wire."""
    message = encode_typed_data(full_message=json.loads(json.dumps(document)))
    return keccak256(b"\x19" + message.version + message.header + message.body)


def test_the_standards_example_comes_out() -> None:
    """Type string, hashes and domain of EIP-712's own `Example.sol` / `Example.js`."""
    mail = describe_struct(Mail, where="event")
    cow = Person("Cow", bytes.fromhex("cD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"))
    bob = Person("Bob", b"\xbb" * 20)
    type_string = "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    assert type_string == encode_type(mail, ())
    assert "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2" == compute_type_hash(mail, ()).hex()
    struct_hash = compile_struct_hash(mail)(Mail(cow, bob, "Hello, Bob!"))
    assert "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e" == struct_hash.hex()
    separator = compute_domain_separator("Ether Mail", "1", 1, CONTRACT)
    assert "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f" == separator.hex()


def test_referenced_structs_are_sorted_and_the_nonce_is_last() -> None:
    """The primary type first, then every other struct once, by name; only the primary type has the nonce."""
    expected = (
        "Group(Person[][] zebras,Mail first,uint8 count,uint64 nonce)"
        "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    )
    assert expected == encode_type(describe_struct(Group, where="action"))


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_digests_equal_eth_accounts(data: st.DataObject) -> None:
    """For any shape and values the compiled digest is the one that eth-account computes from our document."""
    t = describe_struct(data.draw(action_classes()), where="action")
    try:
        encode_type(t)
    except DeclarationError:
        return  # two random structs drew one name
    action, nonce = data.draw(values(t)), data.draw(st.integers(0, 2**53 - 1))
    chain_id = data.draw(st.integers(0, 2**53 - 1))
    document = typed_data(t, action, nonce, name="näme", version="1", chain_id=chain_id, contract=CONTRACT)
    separator = compute_domain_separator("näme", "1", chain_id, CONTRACT)
    assert compute_digest_by_eth_account(document) == compile_digest(t, separator)(action, nonce)


def test_another_domain_nonce_or_value_gives_another_digest() -> None:
    """Every part of the domain, the nonce and the members are bound."""
    t = describe_struct(Mail, where="action")
    cow, bob = Person("Cow", bytes(20)), Person("Bob", bytes(20))
    domains = [("a", "1", 1, CONTRACT), ("b", "1", 1, CONTRACT), ("a", "2", 1, CONTRACT), ("a", "1", 2, CONTRACT)]
    domains.append(("a", "1", 1, bytes(20)))
    cases = [(domain, Mail(cow, bob, "x"), 0) for domain in domains]
    cases += [(domains[0], Mail(cow, bob, "x"), 1), (domains[0], Mail(bob, cow, "x"), 0)]
    digests = {compile_digest(t, compute_domain_separator(*domain))(mail, nonce) for domain, mail, nonce in cases}
    assert len(cases) == len(digests)


def test_two_structs_of_one_name_are_refused() -> None:
    """A wallet knows one type by one name."""
    other = msgspec.defstruct("Person", [("age", Uint64)], frozen=True)
    cls = define_action("Twice", [("a", Person), ("b", GenericAlias(list, other))])
    with pytest.raises(DeclarationError, match="two different structs are called Person"):
        encode_type(describe_struct(cls, where="action"))


def test_tuples_have_no_hash() -> None:
    """A state's tuple cannot be signed; the error names the field."""
    cls = msgspec.defstruct("Pair", [("both", tuple[Uint8, Uint8])], frozen=True)
    with pytest.raises(DeclarationError, match=r"Pair\.both"):
        compile_struct_hash(describe_struct(cls, where="state"))
