"""Recorded blocks under other code: nothing differs under the same, and each difference has its place and its count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import alarms
import alarms_later
from alarms import CALM, Upset, Wake
from kernel_fixtures import Chain
from microrollup import MicroRollup
from microrollup.errors import UsageError
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.payload import encode_carried_payload
from microrollup.maintenance.history_diff import HistoryDiff, diff_history

LATER = "alarms_later"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """Block 1: four alarms that are due, one of them early, and a mood; 2 rings three, 3 one; 4 has forced ones,
    of which two are carried, one of them in vain.
    """
    made = Chain(tmp_path, alarms.app)
    made.submit(*[made.signer.sign(Wake(time)) for time in (5, 20, 21, 22)], made.signer.sign(Upset(CALM), "bob"))
    made.close_block()
    for _ in range(2):
        made.advance()
        made.close_block(allow_empty=True)
    made.force(Wake(6), "carol")
    made.force(b"\x07nonsense", "carol")
    made.force(encode_carried_payload(made.signer.sign(Wake(7)).record), "carol")
    made.force(encode_carried_payload(made.signer.sign(Wake(8), nonce=99).record), "carol")
    made.close_block(allow_empty=True)
    yield made
    made.close()


def compare(
    chain: Chain, rollup: MicroRollup, reference: str, first: int | None = None, limit: int = 100
) -> HistoryDiff:
    """The difference, and nothing else: the store holds afterwards what it held before."""
    environment = chain.ledger.environment
    before = (chain.ledger.checkpoint, environment.count("log"), environment.count("state"))
    with AuthenticationPool(reference, chain.genesis.domain, 0) as pool:
        diff = diff_history(environment, rollup, pool, first, limit=limit)
    assert before == (chain.ledger.checkpoint, environment.count("log"), environment.count("state"))
    return diff


@pytest.mark.parametrize("first", [None, 1, 2, 4])
def test_the_same_code_gives_the_same(chain: Chain, first: int | None) -> None:
    """From the genesis, and from the recorded state before any block."""
    diff = compare(chain, alarms.app, "alarms", first)
    assert (0, [], [], 0) == (diff.differing, diff.actions, diff.blocks, diff.fields_unknown)
    assert (first or 1, 4) == (diff.first, diff.last)
    counts = {name: count.entries for name, count in diff.types.items()}
    early = {"Wake": 7, "Upset": 1} if (first or 1) == 1 else {"Wake": 3}
    assert {"(block hook)": 5 - (first or 1), "(unreadable)": 1, **early} == counts


def test_other_rules(chain: Chain) -> None:
    """A rejection, a hook that does more, and an action that is gone, each in its block, with the fields behind it."""
    diff = compare(chain, alarms_later.app, LATER)
    told = [(each.height, each.seq, each.type, each.note, each.fields) for each in diff.actions]
    gone = (1, 5, "Upset", "not an action of this code", ())
    assert [(1, 1, "Wake", "", ()), gone] == [each for each in told if each[:2] in ((1, 1), (1, 5))]
    early = diff.actions[0]
    assert early.recorded is not None
    assert early.executed is not None
    assert ((0, ""), (1, "too early")) == tuple(
        (receipt.status, receipt.reason) for receipt in (early.recorded, early.executed)
    )
    assert (7, 3, 1) == (diff.types["Wake"].entries, diff.types["Wake"].outcome, diff.types["Upset"].outcome)
    assert 1 == diff.types["(block hook)"].events
    assert [(1, {"due", "set_so_far"}), (3, {"rung"})] == [
        (block.height, set(block.fields)) for block in diff.blocks[:2]
    ]
    assert diff.differing == len(diff.actions)


def test_a_list_has_a_limit(chain: Chain) -> None:
    """What is beyond it is counted all the same."""
    whole, short = (compare(chain, alarms_later.app, LATER, limit=limit) for limit in (100, 1))
    assert (1, 1) == (len(short.actions), len(short.blocks))
    assert whole.differing == short.differing > 1
    assert whole.types == short.types


def test_a_hook_that_comes_or_goes(chain: Chain) -> None:
    """Without a hook its entries have no outcome now; with one that was not recorded it runs in each block."""
    without = MicroRollup(name="alarms", version="1", genesis=alarms.Clock(), stfs=[alarms.wake, alarms.upset])
    diff = compare(chain, without, "alarms")
    assert (4, 4) == (diff.types["(block hook)"].entries, diff.types["(block hook)"].outcome)
    assert {"this code has no block hook"} == {each.note for each in diff.actions if each.type == "(block hook)"}


def test_heights(chain: Chain) -> None:
    """A height that is not there is refused."""
    for first in (5, 10**9):
        with pytest.raises(UsageError, match="there is no block"):
            compare(chain, alarms.app, "alarms", first)
