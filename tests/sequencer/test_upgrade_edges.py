"""Upgrades where several things come together: announcements that overtake one another, migrations that go wrong in
odd ways, tools that are given another version.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from kernel_fixtures import BUILDER_KEY, OWNER
from microrollup import Action
from microrollup.chain.block import seal_header
from microrollup.chain.receipt import EXECUTED, FAULTED, Receipt
from microrollup.errors import Divergence, UsageError
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.guard.steps import Meter
from microrollup.ledger.code import OtherCode
from microrollup.maintenance.history_diff import HistoryDiff, diff_history
from microrollup.maintenance.scrub import scrub_store
from microrollup.store.tables import get_receipts
from shop import later, unlucky, v1, v2, v3
from shop.chain import ShopChain


def list_versions(shop: ShopChain) -> list[str]:
    """The version that each block names."""
    versions = {version.stf_id: version.version for version in shop.app.versions}
    return [versions[block.header.stf_id] for block in shop.blocks()]


def read_receipt(shop: ShopChain, height: int) -> Receipt:
    """The first receipt of a block."""
    environment, header = shop.ledger.environment, shop.ledger.get_header(height)
    with environment.snapshot() as txn:
        return msgspec.msgpack.decode(next(iter(get_receipts(txn, environment.tables, header))), type=Receipt)


def check(shop: ShopChain) -> None:
    """Verifiers with and without a view of L1, and the settlement, come to the same."""
    tip = shop.ledger.checkpoint
    for l1 in (True, False):
        with shop.verifier(f"verifier {l1} {tip.height}") as ledger:
            shop.verify(ledger, l1=l1)
            assert tip == ledger.checkpoint
    shop.settle()
    assert tip.height == shop.l1.get_settled().height


def test_two_effects_with_forced_actions_between_them(tmp_path: Path) -> None:
    """A block of the old code before the second effect would lie after the first one, where nobody takes it."""
    shop = ShopChain(tmp_path)
    shop.do(v1.Deposit(250))
    shop.build()
    shop.force(v1.Deposit(5))
    shop.advance()
    shop.announce(v2.app)
    shop.force(v1.Deposit(7))
    shop.advance()
    shop.announce(v3.app)
    shop.build()
    assert ["1", "1", "2", "2", "3"] == list_versions(shop)
    assert [0, 1, 1, 2, 2] == [block.header.forced_count for block in shop.blocks()]
    check(shop)
    shop.close()


ACTIONS: dict[str, Sequence[Action]] = {
    "1": [v1.Deposit(7), v1.Deposit(40), v1.Tag(1, b"a" * 32)],
    "2": [v2.Deposit(9), v2.Order(1), v2.Order(2)],
    "3": [v3.See()],
}


@pytest.mark.parametrize("seed", [3, 8])
def test_random_announcements_actions_and_restarts(tmp_path: Path, seed: int) -> None:
    """Whatever is announced, forced and restarted when: verifiers take each block, and a rebuild gives the same."""
    shop, chance = ShopChain(tmp_path), random.Random(seed)
    for _ in range(40):
        action = chance.choice(ACTIONS[shop.ledger.rollup.version])
        match chance.randrange(8):
            case 0 | 1:
                shop.do(action, chance.choice(["alice", "bob"]))
            case 2:
                shop.force(action)
            case 3:
                version = chance.choice([v1.app, v2.app, v3.app])
                shop.l1.announce_code(version.stf_id, caller=OWNER, delay_blocks=chance.randrange(5))
            case 4:
                shop.advance(chance.randrange(1, 4))
            case 5:
                shop.reopen()
            case 6:
                shop.sequencer.poll()
            case _:
                shop.build()
    shop.build()
    shop.advance(6)
    shop.build()
    headers = [block.header for block in shop.blocks()]
    shop.sequencer.rebuild(chance.randrange(1, len(headers) + 1))
    assert headers == [block.header for block in shop.blocks()]
    check(shop)
    shop.close()


@pytest.mark.parametrize(
    ("total", "reason"),
    [(unlucky.NOT_UTF8, ""), (unlucky.STACKED, "limit: depth"), (unlucky.STACKED_IN_VAIN, "limit: depth")],
)
def test_a_migration_that_goes_wrong_stops_nobody(tmp_path: Path, total: int, reason: str) -> None:
    """Its entry has faulted for everybody: a reason that no receipt holds, maps over maps that no recursion reads."""
    shop = ShopChain(tmp_path, unlucky.app, "shop.unlucky")
    shop.do(v1.Tag(1, b"a" * 32))
    shop.do(v1.Deposit(total))
    shop.build()
    shop.announce(unlucky.app)
    shop.build()
    receipt = read_receipt(shop, 2)
    assert (FAULTED, reason) == (receipt.status, receipt.reason)
    shop.do(v1.Deposit(10))
    shop.build()
    shop.announce(unlucky.app)
    shop.build()
    assert ["1", "1", "1", "2"] == list_versions(shop), "a hundred maps over one another may be read"
    check(shop)
    shop.close()


def test_a_trial_in_another_thread_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The meter is another run's as soon as it is left: whatever limit that one reaches, it is not this one's."""
    shop = ShopChain(tmp_path, v2.app)
    shop.do(v1.Deposit(250))
    shop.build()
    shop.force(v1.Deposit(5))
    shop.advance()
    leave = Meter.__exit__

    def leave_to_another(meter: Meter, *error: object) -> None:
        leave(meter, *error)
        meter.limit = "steps"

    monkeypatch.setattr(Meter, "__exit__", leave_to_another)
    shop.announce(v2.app)
    shop.build()
    assert ["1", "1", "2"] == list_versions(shop)
    assert [EXECUTED, EXECUTED] == [read_receipt(shop, height).status for height in (2, 3)]
    shop.close()


def test_a_first_block_of_a_later_version_is_wrong_where_l1_names_the_first(tmp_path: Path) -> None:
    """Without a view of L1 there is no verdict: what the inbox was created with is not known."""
    shop = ShopChain(tmp_path)
    shop.do(v1.Deposit(250))
    shop.build()
    (block,) = shop.blocks()
    header = msgspec.structs.replace(block.header, stf_id=v2.app.stf_id)
    opened = msgspec.structs.replace(block.open, stf_id=v2.app.stf_id)
    forged = msgspec.structs.replace(block, header=header, open=opened, seal=seal_header(BUILDER_KEY, header, 0))
    with shop.verifier() as ledger, pytest.raises(Divergence, match="stf_id differs at height 1"):
        shop.verify(ledger, [forged])
    with shop.verifier("blind") as ledger, pytest.raises(OtherCode):
        shop.verify(ledger, [forged], l1=False)
    shop.close()


def diff(shop: ShopChain, first: int | None, *, numbered: bool = True) -> HistoryDiff:
    """What an edit of the second version makes of the blocks; without its numbers, one that follows on nothing."""
    name = "app" if numbered else "alone"
    with AuthenticationPool(f"shop.later:{name}", shop.genesis.domain, 0) as pool:
        return diff_history(shop.ledger.environment, getattr(later, name), pool, first, limit=10)


def test_an_edit_of_a_later_version_is_compared_after_its_upgrade(tmp_path: Path) -> None:
    shop = ShopChain(tmp_path, v2.app)
    shop.do(v1.Deposit(250))
    shop.build()
    shop.announce(v2.app)
    shop.build()
    shop.do(v2.Deposit(12))
    shop.do(v2.Order(3))
    shop.build()
    found = diff(shop, 3)
    assert (3, 3, ["Deposit"]) == (found.first, found.last, [action.type for action in found.actions])
    assert {"accounts": 1, "total": 1} == found.blocks[0].fields
    for first in (None, 1, 2):
        with pytest.raises(UsageError, match="begin"):
            diff(shop, first)
    with pytest.raises(UsageError, match="another shape"):
        diff(shop, 3, numbered=False)
    shop.close()


def test_scrub_with_a_code_that_lacks_the_upgrade_says_nothing_of_damage(tmp_path: Path) -> None:
    shop = ShopChain(tmp_path, v2.app)
    shop.do(v1.Deposit(250))
    shop.build()
    shop.announce(v2.app)
    shop.build()
    shop.ledger.sync_tree()
    shop.close()
    assert [] == scrub_store(tmp_path / "builder", "shop.v2:app").damages
    with pytest.raises(UsageError, match="run the code that built it"):
        scrub_store(tmp_path / "builder", "shop.v1:app")
