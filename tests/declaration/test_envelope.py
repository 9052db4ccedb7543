"""What an envelope may be, and the sentence that says what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

import tickets
from microrollup import Action, Envelope, MicroRollup, Opened, Uint64
from microrollup.errors import DeclarationError, DecodeError
from tickets import Fill, Redeem, TicketEnvelope, Tickets, fill, redeem


def make(**members: Any) -> type[Envelope]:
    """An envelope like the one of the app, with other members."""
    kept = {name: vars(TicketEnvelope)[name] for name in ("name", "actions", "open", "encode")}
    return type("Other", (Envelope,), {name: each for name, each in (kept | members).items() if each is not ...})


def declare(*envelopes: Any, stfs: Any = (fill, redeem)) -> MicroRollup:
    return MicroRollup(name="tickets", version="1", genesis=Tickets(), stfs=stfs, envelopes=list(envelopes))


class Foreign(Action, frozen=True):
    """No function takes it."""

    number: Uint64


class Derived(TicketEnvelope):
    """Not from Envelope itself."""


async def wait(self: Any, raw: bytes) -> Opened:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("envelopes", "said"),
    [
        ([Redeem], "envelopes: holds subclasses of Envelope, not <class"),
        ([TicketEnvelope()], r"write envelopes=\[TicketEnvelope\]"),
        ([Envelope], "Envelope: derives from Envelope alone"),
        ([Derived], "Derived: derives from Envelope alone: write class X"),
        ([make(name=...)], "Other: lacks name"),
        ([make(open=..., actions=...)], "Other: lacks actions, open"),
        ([make(name="")], "its name '' must be 1 to 32 characters"),
        ([make(name="a" * 33)], "must be 1 to 32 characters"),
        ([make(name="Ticket")], "of a-z, 0-9 and -"),
        ([make(name="ticket\n")], "must be 1 to 32"),
        ([make(name=7)], "its name 7 must be"),
        ([make(name="signed")], "'signed' is an origin of the kernel's own"),
        ([make(name="l1")], "an origin of the kernel's own"),
        ([make(name="block")], "an origin of the kernel's own"),
        ([make(name="upgrade")], "an origin of the kernel's own"),
        ([make(actions=())], "a tuple of subclasses of Action"),
        ([make(actions=[Redeem])], r"actions = \(Redeem,\)"),
        ([make(actions=(redeem,))], "its actions are subclasses of Action, not <function"),
        ([make(actions=(Action,))], "its actions are subclasses of Action"),
        ([make(actions=(Foreign,))], "Foreign: comes in Other, and no function in `stfs` takes it"),
        ([make(actions=(Redeem, Redeem))], "Redeem: is listed twice, in Other"),
        ([TicketEnvelope, TicketEnvelope], "two envelopes have the name 'p256-ticket'"),
        ([TicketEnvelope, make(name="other")], "Redeem: is listed twice, in Other and TicketEnvelope"),
        ([make(open=wait)], "open returns its result: no `async`, no `yield`"),
        ([make(open=lambda raw: raw)], r"open is a method, def open\(self, raw\)"),
        ([make(seen=[])], "Other: keeps seen, a list; it holds methods and constants only"),
        ([make(seen={})], "keeps seen, a dict"),
        ([make(size=(1, [2]))], "keeps size, a tuple"),
        ([make(encode=staticmethod(redeem))], r"encode is a method, def encode\(self, opened\)"),
    ],
)
def test_what_is_refused(envelopes: list[Any], said: str) -> None:
    """By the class's or the action's name, with what to write."""
    with pytest.raises(DeclarationError, match=said):
        declare(*envelopes)


def test_the_argument_is_a_list() -> None:
    """One class alone, or a misspelt name, is told in a sentence."""
    options: Any = {"name": "tickets", "version": "1", "genesis": Tickets(), "stfs": [fill, redeem]}
    with pytest.raises(DeclarationError, match="envelopes: is a list of classes, not type"):
        MicroRollup(**options, envelopes=TicketEnvelope)
    with pytest.raises(DeclarationError, match="name the classes as a list"):
        MicroRollup(**options, envelope=TicketEnvelope)


def test_an_app_of_envelopes_alone() -> None:
    """All its actions come in envelopes: nothing can be signed; without any action there is no rollup."""
    app = declare(make(actions=(Redeem, Fill)))
    assert [] == list(app.action_types)
    assert ["Redeem", "Fill"] == [each.name for each in app.all_action_types]
    long = b"\xc5\x3f\xf0" + bytes(0x3FF0)
    for record in (b"", b"\x94\xa0\x90\0\xc4\x41" + bytes(65), b"\x94\xa0" + long + b"\0\xc4\x41" + bytes(65)):
        with pytest.raises(DecodeError):
            app.action_types.decode_record(record)


def test_it_is_part_of_the_identity() -> None:
    """Class and name are in the manifest, and the schemas of its actions."""
    manifest = tickets.app.manifest
    assert ((".:TicketEnvelope", "p256-ticket"),) == manifest.envelopes
    assert ["Fill", "Redeem"] == [schema.partition("{")[0] for schema in manifest.action_schemas]
    assert () == declare().manifest.envelopes
    assert tickets.app.stf_id != declare().stf_id


def test_a_foreign_class_has_no_identity() -> None:
    """A class that its name does not lead to, as one that is made by a call, is refused when the code is named."""
    with pytest.raises(DeclarationError, match="not in the state class's package"):
        _ = declare(make()).manifest
