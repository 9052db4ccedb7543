"""Whether a chain has everything that accounts of the keystore need, and how fresh it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from microrollup.codec.json import hex0x
from microrollup.crypto.keccak import keccak256
from microrollup.errors import MicrorollupError, UsageError
from microrollup.settlement.ethereum.options import EthereumOptions

from ..root_calls import LatestRoot
from .book import AddressBook, read_book
from .hashes import list_places
from .node import ChainNode, make_call
from .plan import DELEGATION, AccountsPlan
from .standing import AccountCopy, read_copies, read_latest

__all__ = ["ChainStatus", "compare_copies", "describe_status", "find_book", "read_chain", "read_statuses"]


Delegation: TypeAlias = Literal["", "keystore", "other"]
"""Of an EOA (EIP-7702): to this keystore's `Keystore7702`, or to other code, which the keystore has no part in."""

_KEY: Final = keccak256(b"key()")[:4]


class ChainStatus(msgspec.Struct, frozen=True):
    """One chain, at one block."""

    place: str
    """Scheme, host and port of the URL, which may hold a key."""
    chain_id: int = 0
    error: str = ""
    """Why nothing is known; empty if it is."""
    time: int = 0
    """Seconds, of the block."""
    missing: tuple[str, ...] = ()
    """Contracts that are not there."""
    wrong: tuple[str, ...] = ()
    """Contracts with other code than the address book says."""
    latest: LatestRoot | None = None
    account: bytes = b""
    """20 bytes."""
    copy: AccountCopy | None = None
    """None: the account is not deployed."""
    number: int = 0
    """Of the block."""
    delegation: Delegation = ""
    key: bytes = b""
    """32 bytes: what an EOA that delegates to the keystore lives by; zeros before `setKey`."""


def read_statuses(chains: Sequence[EthereumOptions], directory: Path, name: bytes) -> list[ChainStatus]:
    """Of each chain, for an account (20 bytes) or the account of a key (32), by the address books in `directory`.

    What goes wrong with one chain is said there, and the others are read.
    """

    async def read_all() -> list[ChainStatus]:
        return list(await asyncio.gather(*[_read_safely(options, directory, name) for options in chains]))

    return asyncio.run(read_all())


async def _read_safely(options: EthereumOptions, directory: Path, name: bytes) -> ChainStatus:
    node = ChainNode(options, None)
    try:
        return await _read(node, directory, name)
    except (MicrorollupError, OSError) as error:
        return ChainStatus(node.place, node.chain_id, str(error))
    finally:
        await node.close()


async def _read(node: ChainNode, directory: Path, name: bytes) -> ChainStatus:
    status, plan = await read_chain(node, directory)
    account = plan.get_account(name)
    delegation = await _read_delegation(node, plan, account)
    copy, key = None, b""
    if delegation != "other":
        (copy,) = await read_copies(node, [account], status.number)
    if delegation == "keystore":
        (answer,) = await node.ask_calls([make_call(account, _KEY, status.number)])
        key = (answer or b"")[:32]
    return msgspec.structs.replace(status, account=account, copy=copy, delegation=delegation, key=key)


async def read_chain(node: ChainNode, directory: Path) -> tuple[ChainStatus, AccountsPlan]:
    """What a chain has, of no account yet, and where it is. Raises `L1Error`s and what `find_book` raises."""
    node.chain_id = await node.read_chain_id()
    book = find_book(directory, node.chain_id)
    plan = book.make_plan()
    head = await node.read_head()
    expected = book.list_hashes()
    places = list_places(plan)
    found = await node.hash_codes(list(places.values()))
    missing = tuple([each for each, place in places.items() if each not in expected or not found[place]])
    wrong = tuple([each for each in places if each not in missing and found[places[each]] != expected[each]])
    latest = None if "KeystoreRoots" in missing else await read_latest(node, plan.roots, head.number)
    return ChainStatus(node.place, node.chain_id, "", head.time, missing, wrong, latest, number=head.number), plan


async def _read_delegation(node: ChainNode, plan: AccountsPlan, account: bytes) -> Delegation:
    (code,) = await node.read_codes([account])
    if not code.startswith(DELEGATION):
        return ""
    return "keystore" if code == DELEGATION + plan.delegate else "other"


def find_book(directory: Path, chain_id: int) -> AddressBook:
    """The address book of a chain. Raises `UsageError` if there is none, `DecodeError`, `OSError`."""
    book = read_book(directory, chain_id)
    if book is None:
        raise UsageError(f"{directory} has no address book of chain {chain_id}: run deploy-l2 with its URL first")
    return book


def compare_copies(statuses: Sequence[ChainStatus]) -> list[str]:
    """Of each chain, whether its account goes by the same configuration as on the others, as far as roots say.

    One root holds one configuration for a key: copies of the newest height that any chain knows are "yes". An older
    copy is "older": the configuration may have changed since. Two roots at one height are "conflict". Without a copy
    it is "-".
    """
    known = {
        (each.height, each.root)
        for status in statuses
        for each in (status.latest, status.copy)
        if each is not None and any(each.root)
    }
    newest = max((height for height, _ in known), default=0)
    roots = {root for height, root in known if height == newest}
    answers: list[str] = []
    for status in statuses:
        if status.copy is None:
            answers.append("-")
        elif len([root for height, root in known if height == status.copy.height]) > 1:
            answers.append("conflict")
        else:
            answers.append("yes" if status.copy.root in roots else "older")
    return answers


def describe_status(statuses: Sequence[ChainStatus], same: Sequence[str]) -> list[dict[str, Any]]:
    """As JSON, one object a chain, with what compares their configurations. Times are seconds."""
    return [_describe(status, answer) for status, answer in zip(statuses, same, strict=True)]


def _describe(status: ChainStatus, same: str) -> dict[str, Any]:
    latest, copy = status.latest, status.copy
    is_known = latest is not None and any(latest.root)
    return {
        "chainId": status.chain_id,
        "place": status.place,
        "error": status.error,
        "complete": not (status.error or status.missing or status.wrong),
        "missing": list(status.missing),
        "wrongCode": list(status.wrong),
        "root": hex0x(latest.root) if latest is not None and is_known else None,
        "height": latest.height if latest is not None and is_known else None,
        "age": latest.compute_age(status.time) if latest is not None and is_known else None,
        "shownAge": max(0, status.time - latest.shown_at) if latest is not None and is_known else None,
        "account": hex0x(status.account) if status.account else None,
        "deployed": copy is not None,
        "delegation": status.delegation or None,
        "key": hex0x(status.key) if status.key else None,
        "copyRoot": None if copy is None else hex0x(copy.root),
        "copyHeight": None if copy is None else copy.height,
        "copyLeft": None if copy is None else max(0, copy.valid_until - status.time),
        "sameConfiguration": same,
    }
