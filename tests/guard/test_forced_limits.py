"""What cannot be refused does not stop a rollup: forced actions that would run for ever (findings K3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import escapes
from escapes import ESCAPES, Escape, Put, app
from kernel_fixtures import Chain
from microrollup.chain.receipt import EXECUTED, FAULTED
from microrollup.sequencer.sequencer import Sequenced
from microrollup.store.tables import get_receipt

KINDS: list[tuple[Callable[..., object], int, str]] = [
    (escapes.endless, 0, "limit: steps"),
    (escapes.endless_for, 10**10, "limit: steps"),
    (escapes.power, 10**9, "limit: size"),
    (escapes.repeated_text, 1 << 31, "limit: steps"),
    (escapes.recursion, 0, "limit: depth"),
    (escapes.list_of_range, 10**7, "limit: steps"),
]
"""Endless loops, huge integers, 2 GiB texts, deep recursion, iteration over ten million entries."""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, app)
    yield made
    made.close()


def read_outcomes(chain: Chain) -> list[tuple[int, str]]:
    """Status and reason of all receipts."""
    txn, tables = chain.ledger.environment.reader, chain.ledger.environment.tables
    raw = [get_receipt(txn, tables, seq) for seq in range(chain.ledger.checkpoint.next_seq)]
    return [tuple(msgspec.msgpack.decode(each or b"\xc0")[2:4]) for each in raw]


def test_the_chain_goes_on(chain: Chain) -> None:
    """Each such forced action has faulted by the steps, the queue moves on, users' actions are taken, and a verifier
    and a builder that was killed come to the same receipts.
    """
    verifier = chain.make_verifier()
    (first,) = chain.submit(chain.signer.sign(Put(3)))
    assert isinstance(first, Sequenced)
    chain.close_block()
    for function, size, _ in KINDS:
        chain.force(Escape(ESCAPES.index(function), size))
        chain.force(Put(5))
    (second,) = chain.submit(chain.signer.sign(Put(2), nonce=1))
    assert isinstance(second, Sequenced)
    chain.close_block()
    expected = [(EXECUTED, "")]
    for _, _, reason in KINDS:
        expected += [(FAULTED, reason), (EXECUTED, "")]
    assert [*expected, (EXECUTED, "")] == read_outcomes(chain)
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.abandon()


def test_an_open_block_is_executed_again_alike(chain: Chain) -> None:
    """A builder that is killed with such actions in its open block finishes it as it would have been."""
    chain.force(Escape(ESCAPES.index(escapes.map_turns), 10**9))
    chain.force(Put(7))
    (taken,) = chain.submit(chain.signer.sign(Put(2)))
    assert isinstance(taken, Sequenced)
    steps = chain.ledger.block.context.steps if chain.ledger.block else 0
    chain.reopen(abandon=True)
    assert steps == (chain.ledger.block.context.steps if chain.ledger.block else 0) > 1_000_000
    chain.close_block()
    assert [(FAULTED, "limit: steps"), (EXECUTED, ""), (EXECUTED, "")] == read_outcomes(chain)
    verifier = chain.make_verifier()
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    verifier.abandon()
