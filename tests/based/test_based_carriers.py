"""A based block's worst: 64 carriers full of steps, rows and BLS signatures stop neither who derives nor who verifies.

A block's steps are divided by 32 here, and carriers hold fewer BLS signatures than they may: whole, these are figures
of `docs/guides/based.md`, taken by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import burners
from based_world import BasedWorld, follow, list_headers
from microrollup import Action
from microrollup.chain.carrier import MAX_CARRIER_BYTES, encode_carrier
from microrollup.chain.receipt import Receipt
from microrollup.execution import budget
from microrollup.execution.authentication import Authenticator
from microrollup.execution.budget import Usage, find_block_excess
from microrollup.execution.stf import Entry
from microrollup.primitives import MAX_BLOCK_STEPS, MAX_FORCED_PER_BLOCK
from microrollup.testing.keys import BlsKeys
from microrollup.testing.signing import sign_action

BLS_PER_CARRIER = 2


def sign(world: BasedWorld, kind: int, number: int) -> bytes:
    """A record that takes much: steps, rows, or a signature of scheme 5."""
    if kind == 2:
        key = BlsKeys([(number + 1).to_bytes(32, "big")])
        line = sign_action(world.rollup, burners.Burn(1), 0, key, world.genesis.domain)
        authenticated = Authenticator.of(world.rollup, world.genesis.domain).authenticate_line(line)
        return authenticated.record
    action: Action = burners.Burn(4_000) if kind == 0 else burners.Spread(number * 300, 300, 8)
    return world.signer.sign(action, f"user {number}").record


def fill(world: BasedWorld, kind: int, first: int) -> bytes:
    """A carrier of one kind, as full as it may be."""
    records: list[bytes] = []
    while kind != 2 or len(records) < BLS_PER_CARRIER:
        record = sign(world, kind, first + len(records))
        if len(b"".join(records)) + len(record) > MAX_CARRIER_BYTES - 8:
            break
        records.append(record)
    return encode_carrier(records)


def test_64_full_carriers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are taken, by blocks that keep to every budget, and a verifier that
    executes twice comes to the same.
    """
    monkeypatch.setattr(budget, "MAX_BLOCK_STEPS", MAX_BLOCK_STEPS // 32)
    world = BasedWorld(tmp_path, burners.app)
    carriers = [fill(world, number % 3, 100 * number) for number in range(MAX_FORCED_PER_BLOCK)]
    used: list[Usage] = []
    with (
        world.open_l1("l1", [world.call(1, carrier) for carrier in carriers], 3) as l1,
        world.make_ledger("once") as once,
        world.make_ledger("twice") as twice,
    ):
        twice.twice = True
        execute = once.execute

        def watch(entries: Sequence[Entry]) -> list[Receipt]:
            receipts = execute(entries)
            assert once.block is not None
            used.append(once.block.context.usage)
            return receipts

        once.execute = watch  # type: ignore[method-assign]
        follow(once, l1)
        follow(twice, l1)
        assert MAX_FORCED_PER_BLOCK == once.header.forced_count
        assert list_headers(once) == list_headers(twice)
        assert 1 == once.header.height  # each has a 64th
        assert all(find_block_excess(usage) is None for usage in used)
        taken = once.header.first_seq + once.header.action_count - MAX_FORCED_PER_BLOCK
        assert taken > 64
