"""The keystore's query: a wallet finds its accounts by the address that may change them."""

from __future__ import annotations

import pytest

from apps.keystore import app, queries
from apps.keystore.accounts import compute_account_key
from apps.keystore.queries import FoundAccount
from apps.keystore.transitions import Register, Update
from microrollup.execution.querying import QueryFault
from microrollup.testing.execution import Senders, execute, next_block
from microrollup.testing.querying import query

ALICE, BOB = Senders(2)[0], Senders(2)[1]
CODE, CONFIG = b"\x01" * 32, b"\x02" * 32


def make_salt(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_accounts_follow_their_vk() -> None:
    """An account is found by who may change it now: by one sender, in pages, and no longer once it was handed over."""
    keys = sorted(compute_account_key(make_salt(number), CODE + CONFIG, ALICE) for number in range(5))
    steps = [(ALICE, Register(CODE, CONFIG, make_salt(number))) for number in range(5)]
    run = execute(app, [*steps, next_block(), (ALICE, Update(keys[0], CONFIG, CODE, BOB)), next_block()])

    found = query(app, queries.accounts_of, run, ALICE)
    assert keys[1:] == [item.key for item in found.items]
    assert [FoundAccount(keys[0], CONFIG + CODE, BOB)] == query(app, queries.accounts_of, run, BOB).items
    assert [] == query(app, queries.accounts_of, run, b"\x09" * 20).items

    first = query(app, queries.accounts_of, run, ALICE, limit=3)
    rest = query(app, queries.accounts_of, run, ALICE, after=first.next, limit=3)
    assert keys[1:] == [item.key for item in (*first.items, *rest.items)]
    assert rest.next is None


def test_a_page_has_a_size() -> None:
    """No entries and too many are refused."""
    run = execute(app, [])
    for limit in (0, 201):
        with pytest.raises(QueryFault):
            query(app, queries.accounts_of, run, ALICE, limit=limit)
