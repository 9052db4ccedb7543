"""64 full carriers with the worst that they may hold: they stop neither a block nor a verifier.

A block's steps are divided by 32 here. With all 64,000,000, in a verifier that executes twice and beside other work on
two cores, the test of steps took 227 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import burners
from kernel_fixtures import Chain
from microrollup import Action
from microrollup.chain.carrier import MAX_CARRIER_BYTES, encode_carrier
from microrollup.chain.receipt import Receipt
from microrollup.execution import budget
from microrollup.execution.budget import Usage, find_block_excess
from microrollup.execution.stf import Entry
from microrollup.primitives import MAX_BLOCK_STEPS, MAX_FORCED_PER_BLOCK

ACTIONS: dict[str, Callable[[int], Action]] = {
    "steps": lambda number: burners.Burn(4_000),
    "rows": lambda number: burners.Spread(number * 300, 300, 8),
    "bytes": lambda number: burners.Spread(number * 100, 100, 4_000),
}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, burners.app)
    yield made
    made.close()


def fill(chain: Chain, make_action: Callable[[int], Action]) -> None:
    """Queue as many carriers as a block takes, each as full as it may be, of signers with one action each."""
    number = 0
    for _ in range(MAX_FORCED_PER_BLOCK):
        records: list[bytes] = []
        while True:
            record = chain.signer.sign(make_action(number), f"signer {number}").record
            number += 1
            if len(b"".join(records)) + len(record) > MAX_CARRIER_BYTES - 8:
                break
            records.append(record)
        chain.l1.force(encode_carrier(records), sender=bytes(19) + b"\x01")
    chain.advance(2)


@pytest.mark.parametrize("kind", ACTIONS)
def test_no_block_is_stopped(chain: Chain, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 64 are taken, by blocks that keep to every budget; a verifier that executes twice follows them."""
    monkeypatch.setattr(budget, "MAX_BLOCK_STEPS", MAX_BLOCK_STEPS // 32)
    fill(chain, ACTIONS[kind])
    while chain.sequencer.poll() is not None:
        assert chain.ledger.block is None
    assert MAX_FORCED_PER_BLOCK == chain.ledger.header.forced_count
    verifier = chain.make_verifier()
    verifier.twice = True
    used: list[Usage] = []
    execute = verifier.execute

    def watch(entries: Sequence[Entry]) -> list[Receipt]:
        receipts = execute(entries)
        assert verifier.block is not None
        used.append(verifier.block.context.usage)
        return receipts

    verifier.execute = watch  # type: ignore[method-assign]
    chain.verify(verifier)
    assert chain.ledger.header == verifier.header
    assert all(find_block_excess(usage) is None for usage in used)
    verifier.abandon()
