"""Verifier sets of an inbox: pages of BLS keys, what its owner announces, and taking it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.codec.json import hex0x, read_hex
from microrollup.codec.json_text import parse_json
from microrollup.crypto.bls_shares import is_possessed
from microrollup.crypto.ecdsa import SigningKey, compute_address
from microrollup.deployment.place_file import find_place
from microrollup.errors import BadSignature, RefusedError, UsageError
from microrollup.keys.files import builder_key_path, read_key
from microrollup.settlement.place import L1Place, LocalPlace, open_l1
from microrollup.settlement.protocol import AnnouncementKind, Inbox
from microrollup.settlement.quorum_errors import BadKey
from microrollup.settlement.verifiers import (
    BLS,
    ECDSA,
    MAX_BLS_KEYS,
    MAX_PAGE_KEYS,
    VerifierRule,
    VerifierSet,
    compute_set_id,
    sort_keys,
)

__all__ = [
    "AnnouncedChange",
    "RegisteredPage",
    "ShownSet",
    "announce_verifiers",
    "cancel_announcement",
    "list_announcements",
    "read_proven_keys",
    "register_keys",
]

_MAX_SHOWN: Final = 256
"""Announcements: an owner may make one in each block."""


class RegisteredPage(msgspec.Struct, frozen=True):
    """A page of keys, as an inbox has it."""

    page: str
    """Its address, 0x-hex; of a dry run, where it would be if nobody registered another one before."""
    keys: list[str]
    """96 bytes each, in the order of a bitmap's bits."""


class ShownSet(msgspec.Struct, frozen=True, rename="camel"):
    """A set of verifiers, in text."""

    id: str
    kind: str
    """"ecdsa" or "bls"."""
    quorum: int
    count: int
    """Verifiers, proofs not counted."""
    members: list[str]
    """Addresses; of BLS, the pages."""
    rules: list[dict[str, Any]]


class AnnouncedChange(msgspec.Struct, frozen=True):
    """What is announced, and from which L1 block it is in force."""

    kind: str
    effective: int
    value: str | ShownSet
    """The builder, the owner or the code as 0x-hex, or the set."""


def read_proven_keys(raw: bytes) -> dict[bytes, bytes]:
    """Public keys of 96 bytes with their proofs of possession, out of what `keygen --bls --json` printed, line by line.

    Raises `UsageError`, and `BadKey` for a proof that is not of its key.
    """
    keys: dict[bytes, bytes] = {}
    for number, line in enumerate(filter(bytes.strip, raw.splitlines())):
        try:
            document: Any = parse_json(line)
            key, proof = (read_hex(document[name], name) for name in ("key", "proof"))
            if not is_possessed(key, proof):
                raise BadKey(number)
        except (RefusedError, BadSignature, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"line {number + 1} is not a key with its proof: {error}; give what `keygen --bls --json` prints"
            ) from None
        if key in keys:
            raise UsageError(f"the key {hex0x(key)} is named twice")
        keys[key] = proof
    if not 1 <= len(keys) <= MAX_BLS_KEYS:
        raise UsageError(f"{len(keys)} keys: a set has 1 to {MAX_BLS_KEYS}")
    return keys


@contextmanager
def _open(
    directory: Path | None, given: L1Place | None, key: SigningKey | None, *, dry_run: bool = False
) -> Iterator[tuple[Inbox, bytes]]:
    """The inbox, and who calls it: the key's address, or the builder of a local settlement, who is its owner."""
    if directory is None and given is None:
        raise UsageError("name the inbox: --l1-url and --inbox, or --l1, or the rollup's data directory with --data")
    place = find_place(directory or Path(), given)
    if key is None and isinstance(place, LocalPlace) and directory is not None:
        key = read_key(builder_key_path(directory))
    if key is None:
        raise UsageError("calling the inbox takes a key, --key; on Ethereum it pays the gas")
    with closing(open_l1(place, [key], dry_run=dry_run)) as inbox:
        yield inbox, compute_address(key)


def register_keys(
    directory: Path | None,
    place: L1Place | None,
    keys: dict[bytes, bytes],
    key: SigningKey | None,
    *,
    dry_run: bool = False,
) -> list[RegisteredPage]:
    """Register keys with their proofs of possession as pages of up to 64, anybody may.

    Raises what the inbox refuses, before a transaction is sent, and what sending raises.
    """
    order = sort_keys(keys)
    pages = []
    with _open(directory, place, key, dry_run=dry_run) as (inbox, sender):
        for start in range(0, len(order), MAX_PAGE_KEYS):
            part = order[start : start + MAX_PAGE_KEYS]
            page = inbox.register_keys(part, [keys[each] for each in part], sender=sender)
            pages.append(RegisteredPage(hex0x(page), [hex0x(each) for each in part]))
    return pages


def announce_verifiers(
    directory: Path | None,
    place: L1Place | None,
    members: Sequence[bytes],
    quorum: int,
    kind: int,
    rules: Sequence[VerifierRule],
    key: SigningKey | None,
    *,
    dry_run: bool = False,
) -> AnnouncedChange:
    """Announce another set, as the inbox's owner; members are addresses, or pages if `kind` is `BLS`, in any order.

    Raises `UnknownPage` and the like before a transaction is sent, and `UsageError` for a rule without contract.
    """
    with _open(directory, place, key, dry_run=dry_run) as (inbox, caller):
        order = sorted(members) if kind == ECDSA else _sort_pages(inbox, members)
        verifiers = VerifierSet(tuple(order), quorum, kind, tuple(sorted(rules, key=lambda rule: rule.verifier)))
        for rule in verifiers.rules:
            if not getattr(inbox, "has_code", _knows_no_code)(rule.verifier):
                raise UsageError(f"there is no contract at {hex0x(rule.verifier)}: no batch could bring its proof")
        effective = inbox.change_verifiers(verifiers, caller=caller)
        keys = tuple([each for page in order for each in inbox.find_page(page) or ()]) if kind == BLS else ()
    return AnnouncedChange("verifiers", effective, _show_set(msgspec.structs.replace(verifiers, keys=keys)))


def _knows_no_code(_: bytes) -> bool:
    """The local settlement refuses rules itself, by their name."""
    return True


def _sort_pages(inbox: Inbox, pages: Sequence[bytes]) -> list[bytes]:
    """In the order of their keys; one that is not registered comes last, and the inbox refuses it."""
    found = {page: inbox.find_page(page) for page in pages}
    order = sort_keys([keys[0] for keys in found.values() if keys])
    known = sorted([page for page in pages if found[page]], key=lambda page: order.index((found[page] or (b"",))[0]))
    return known + [page for page in pages if not found[page]]


def list_announcements(directory: Path | None, place: L1Place | None) -> tuple[ShownSet, list[AnnouncedChange], int]:
    """The set in force, what is announced, the newest 256 of it, and the number of the L1 block that is to come."""
    if directory is None and place is None:
        raise UsageError("name the inbox: --l1-url and --inbox, or --l1, or the rollup's data directory with --data")
    with closing(open_l1(find_place(directory or Path(), place))) as inbox:
        number = inbox.get_number()
        changes = [
            AnnouncedChange(
                each.kind,
                each.effective,
                _show_set(each.value) if isinstance(each.value, VerifierSet) else hex0x(each.value),
            )
            for each in inbox.list_announced()[-_MAX_SHOWN:]
        ]
        return _show_set(inbox.get_verifiers(number)), changes, number


def cancel_announcement(
    directory: Path | None,
    place: L1Place | None,
    kind: AnnouncementKind,
    key: SigningKey | None,
    *,
    dry_run: bool = False,
) -> int:
    """Take the newest announcement of a kind back; the L1 block from which it would have been in force.

    Raises `NotOwner`, `NothingPending` or `CancelledTooLate` before a transaction is sent.
    """
    with _open(directory, place, key, dry_run=dry_run) as (inbox, caller):
        return inbox.cancel(kind, caller=caller)


def _show_set(verifiers: VerifierSet) -> ShownSet:
    rules = [
        {"kind": "require" if rule.weight == 0 else "count", "verifier": hex0x(rule.verifier), "weight": rule.weight}
        for rule in verifiers.rules
    ]
    return ShownSet(
        hex0x(compute_set_id(verifiers)),
        "bls" if verifiers.kind == BLS else "ecdsa",
        verifiers.quorum,
        len(verifiers.members),
        [hex0x(address) for address in verifiers.addresses],
        rules,
    )
