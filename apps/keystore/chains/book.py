"""The address book of a chain: `deployments/CHAINID.json`, what was deployed there, from what, and with what code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from microrollup.codec.json import hex0x
from microrollup.errors import DecodeError, UsageError

from .errors import WrongCode
from .hashes import list_places
from .plan import AccountsPlan, plan_contracts

__all__ = ["AddressBook", "BookEntry", "check_book", "make_book", "read_book", "write_book"]

_MAX_BYTES: Final = 1 << 20
_LATER: Final = frozenset({"Keystore7702"})
"""Contracts that books of before do not have: the next `deploy-l2` adds them."""
_HEX: Final = r"^0x([0-9a-f]{2})*$"


class BookEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A contract; all members are 0x-hex."""

    address: str
    code_hash: str
    """keccak256 of the code at the address."""
    arguments: tuple[str, ...] = ()
    """What it was created with: addresses."""


class AddressBook(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What the keystore has on one chain."""

    chain_id: int
    inbox: str
    owner: str
    entry_point: str
    contracts: dict[str, BookEntry]
    """By the names of their artifacts; `KeystoreAccount` is the accounts' implementation."""

    def make_plan(self) -> AccountsPlan:
        """The plan by which all of it was deployed. Raises `DecodeError` where the addresses are not the plan's."""
        plan = plan_contracts(*[_read_address(text) for text in (self.inbox, self.owner, self.entry_point)])
        places = {name: hex0x(address) for name, address in list_places(plan).items()}
        found = {name: entry.address for name, entry in self.contracts.items()}
        for name in sorted({*places, *found} - (_LATER - found.keys())):
            if places.get(name) != found.get(name):
                raise DecodeError(
                    "address book", f"{name} is at {found.get(name)}, and by inbox and owner at {places.get(name)}"
                )
        return plan

    def list_hashes(self) -> dict[str, bytes]:
        """Name -> the 32-byte hash of the code."""
        return {name: bytes.fromhex(entry.code_hash[2:]) for name, entry in self.contracts.items()}


def make_book(plan: AccountsPlan, chain_id: int, hashes: dict[str, bytes]) -> AddressBook:
    """The book of a plan on a chain, with the hashes of `list_places`' codes."""
    arguments = {contract.name: contract.arguments for contract in plan.contracts}
    entries = {
        name: BookEntry(hex0x(address), hex0x(hashes[name]), tuple([hex0x(each) for each in arguments.get(name, ())]))
        for name, address in list_places(plan).items()
    }
    return AddressBook(chain_id, hex0x(plan.inbox), hex0x(plan.owner), hex0x(plan.entry_point), entries)


def read_book(directory: Path, chain_id: int) -> AddressBook | None:
    """The book of a chain; None if there is none. Raises `DecodeError`, `OSError`."""
    path = _get_path(directory, chain_id)
    if not path.exists():
        return None
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES)
    try:
        book = msgspec.json.decode(raw, type=AddressBook)
    except msgspec.MsgspecError as error:
        raise DecodeError("address book", f"{path}: {error}") from None
    if book.chain_id != chain_id:
        raise DecodeError("address book", f"{path} is of chain {book.chain_id}")
    return book


def check_book(directory: Path, plan: AccountsPlan, chain_id: int) -> AddressBook | None:
    """The book of a chain, which has to be of this plan; None if there is none.

    Raises `UsageError` for one of another inbox or owner, `DecodeError` and `OSError`.
    """
    known = read_book(directory, chain_id)
    if known is not None and plan != known.make_plan():
        raise UsageError(f"{_get_path(directory, chain_id)} is of another inbox or owner: give another --book")
    return known


def write_book(directory: Path, book: AddressBook) -> bool:
    """Write the book of a chain; whether anything changed.

    Raises `WrongCode` for a contract that the known book has with other code, what `check_book` raises, and `OSError`.
    """
    known = check_book(directory, book.make_plan(), book.chain_id)
    if known == book:
        return False
    for name, entry in book.contracts.items():
        before = None if known is None else known.contracts.get(name)
        if before is not None and before.code_hash != entry.code_hash:
            raise WrongCode(book.chain_id, name, entry.address, entry.code_hash, before.code_hash)
    path = _get_path(directory, book.chain_id)
    directory.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(book), indent=2) + b"\n")
    fresh.replace(path)
    return True


def _get_path(directory: Path, chain_id: int) -> Path:
    return directory / f"{chain_id}.json"


def _read_address(text: Any) -> bytes:
    try:
        raw = bytes.fromhex(text[2:])
    except ValueError:
        raw = b""
    if text[:2] != "0x" or len(raw) != 20:
        raise DecodeError("address book", f"{text[:80]!r} is not an address")
    return raw
