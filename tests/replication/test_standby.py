"""A standby executes what its leader appended, byte for byte, and names what differs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest

from kernel_fixtures import BUILDER_KEY, MAP_SIZE, Chain, make_key, make_random_edit, make_steps, seal
from microrollup.chain.record import Close, encode_record
from microrollup.codec.canonical import encode_canonical
from microrollup.errors import CommitFailed, Divergence
from microrollup.execution.entry import decode_kernel_record
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import compare_stores
from microrollup.replication import standby as standby_module
from microrollup.replication.errors import Fenced, NoAnswer, OtherLog
from microrollup.replication.leading import LeaderLog
from microrollup.replication.protocol import LogEnd, LogRow, link
from microrollup.replication.reading import require_prefix
from microrollup.replication.sqlite import SqliteLog
from microrollup.replication.standby import Standby
from microrollup.sequencer.sequencer import Sequencer
from shop import v1, v3
from shop.chain import ShopChain


class Pair:
    """A leader's chain with its log, and a standby's store beside it."""

    def __init__(self, chain: Chain | ShopChain, root: Path) -> None:
        self.chain = chain
        self.log = SqliteLog(root / "log.sqlite")
        ledger = chain.ledger
        (genesis,) = link(ledger.rollup_id, [encode_record(ledger.genesis)])
        self.log.found(ledger.rollup_id, [genesis])
        self.lead("one")
        self.ledger = Ledger.create(root / "standby", ledger.app, ledger.genesis, map_size=MAP_SIZE)
        self.standby = Standby(self.log, self.ledger, chain.l1, "two", "http://two")

    def lead(self, node: str) -> None:
        """Let the chain's ledger append."""
        self.leadership = self.log.claim(self.log.get_leader(), node, f"http://{node}")
        self.chain.ledger.remote = LeaderLog(self.log, self.leadership)

    def take_all(self) -> None:
        while self.standby.step():
            pass
        assert self.log.get_end() == self.standby.end

    def compare(self) -> None:
        """Both stores hold the same."""
        self.take_all()
        assert [] == compare_stores(self.chain.ledger.environment, self.ledger.environment)

    def change_last(self, record: bytes, header: bytes | None) -> None:
        """Let the log's last record be another one, as a leader that computes something else would append it."""
        end = self.log.get_end()
        before = self.log.get_chain(end.number - 2)
        assert before is not None
        ((chain, _),) = link(before, [record])
        self.log._ask(
            "UPDATE log SET record = ?, chain = ?, header = ? WHERE number = ?", [record, chain, header, end.number - 1]
        )

    def read_last(self) -> tuple[Close, LogRow]:
        (row,) = self.log.read(self.log.get_end().number - 1, 1)
        close = decode_kernel_record(row.record)
        assert isinstance(close, Close)
        return close, row

    def close(self) -> None:
        self.ledger.abandon()
        self.log.close()


@contextmanager
def make_pair(root: Path) -> Iterator[tuple[Chain, Pair]]:
    chain = Chain(root, block_size=20)
    pair = Pair(chain, root)
    try:
        yield chain, pair
    finally:
        pair.close()
        chain.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with make_pair(tmp_path) as (_, pair):
        yield pair


@pytest.fixture
def chain(pair: Pair) -> Chain:
    assert isinstance(pair.chain, Chain)
    return pair.chain


def test_it_has_the_leader_s_store(chain: Chain, pair: Pair) -> None:
    """After random blocks with forced actions, at any point of an open block too, both stores are equal to the byte."""
    rng = Random(1)
    for _ in range(4):
        chain.work(rng, 3)
        pair.compare()
        chain.edit(("count", 1, rng.randrange(1, 99)))
        pair.compare()
        block, own = chain.ledger.block, pair.ledger.block
        assert block is not None
        assert own is not None
        assert block.receipts == own.receipts


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_it_takes_a_log_in_pieces(chain: Chain, pair: Pair, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few records a step reads, a step never begins in the middle of what must be executed at once."""
    monkeypatch.setattr(standby_module, "ROWS_AT_ONCE", rows)
    chain.work(Random(2), 4)
    pair.compare()


@pytest.mark.parametrize("rows", [3, 5_000])
def test_upgrades_reach_it(tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that upgrades, its migration's entries included, is executed by the standby under the same versions."""
    monkeypatch.setattr(standby_module, "ROWS_AT_ONCE", rows)
    shop = ShopChain(tmp_path)
    pair = Pair(shop, tmp_path)
    try:
        shop.do(v1.Deposit(5))
        shop.build()
        shop.announce(v3.app)
        shop.build()
        shop.do(v3.See())
        pair.compare()
        assert "3" == shop.ledger.rollup.version == pair.ledger.rollup.version
    finally:
        pair.close()
        shop.close()


def test_a_rebuild_reaches_it(chain: Chain, pair: Pair) -> None:
    """Blocks that were built again after a C2X have their second seals in the standby's store."""
    chain.work(Random(3), 4)
    pair.take_all()
    chain.sequencer.rebuild(2)
    pair.standby.step()
    chain.work(Random(4), 2)
    pair.compare()
    block = pair.ledger.get_block(2)
    assert block is not None
    assert 1 == block.seal.round


def test_it_goes_on_as_the_leader(chain: Chain, pair: Pair) -> None:
    """Its ledger takes over with the open block as it is; what the old leader still wants to append is refused."""
    chain.work(Random(5), 2)
    chain.edit(("count", 1, 7))
    pair.take_all()
    pair.log.release(pair.leadership)
    new = pair.log.claim(pair.log.get_leader(), "two", "http://two")
    pair.ledger.remote = LeaderLog(pair.log, new)
    sequencer: Sequencer[int] = Sequencer(pair.ledger, BUILDER_KEY, chain.l1, clock=lambda: chain.seconds)
    action = chain.signer.sign(make_steps(("count", 2, 8)))
    ((_, taken),) = sequencer.submit([(0, action)])
    header = sequencer.close_block()
    assert header is not None
    assert action.action_hash == taken.receipt.action_hash
    with pytest.raises(Fenced):
        chain.submit(chain.signer.sign(make_steps(("count", 3, 9)), "bob"))
    sequencer.close()


def test_nothing_is_committed_here_that_was_not_appended(chain: Chain, pair: Pair) -> None:
    """Without an answer of the log nothing is acknowledged or written; the ledger goes on from what is durable."""
    chain.work(Random(6), 1)
    end = chain.ledger.log_end
    leader = LeaderLog(pair.log, pair.leadership, patience=0)

    def refuse(*_: object) -> None:
        raise NoAnswer("cut off")

    pair.log.append = pair.log.get_chain = refuse  # type: ignore[method-assign,assignment]
    chain.ledger.remote = leader
    with pytest.raises(NoAnswer):
        chain.edit(("count", 1, 1))
    assert chain.sequencer.failed
    assert end == chain.ledger.log_end
    del pair.log.append, pair.log.get_chain
    chain.reopen(abandon=True)
    assert end == chain.ledger.log_end
    require_prefix(pair.log, LogEnd(*end))


def test_a_record_that_stayed_in_the_log_alone_is_taken_at_the_next_start(chain: Chain, pair: Pair) -> None:
    """The local commit fails after the append: as a standby the node takes its own records, and nothing is lost."""
    chain.work(Random(7), 1)
    chain.edit(("count", 1, 1))
    before = chain.ledger.log_end

    def refuse(*_: object) -> None:
        raise CommitFailed("the disk is full")

    chain.ledger._append = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(CommitFailed):
        chain.edit(("count", 1, 2))
    assert pair.log.get_end().number == before[0] + 1
    chain.reopen(abandon=True)
    assert before == chain.ledger.log_end
    again = Standby(pair.log, chain.ledger, chain.l1, "one", "http://one")
    assert 1 == again.step()
    assert pair.log.get_end() == again.end


@pytest.mark.parametrize(
    ("field", "value"),
    [("state_root", bytes(32)), ("action_count", 3), ("timestamp", 1), ("receipts_root", bytes(32)), ("first_seq", 9)],
)
def test_a_header_that_differs_is_named_by_its_field(chain: Chain, pair: Pair, field: str, value: object) -> None:
    """The leader sealed another header: the standby says which word, and takes nothing of the block."""
    chain.work(Random(8), 1)
    pair.take_all()
    chain.edit(("count", 1, 1))
    header = msgspec.structs.replace(chain.close_block(), **{field: value})
    pair.change_last(encode_record(Close(header.height, seal(header))), encode_canonical(header))
    with pytest.raises(Divergence) as caught:
        pair.take_all()
    assert (field, header.height) == (caught.value.field, caught.value.height)
    assert 1 == pair.ledger.checkpoint.height


@pytest.mark.parametrize("part", ["seal", "round"])
def test_a_seal_that_is_not_the_builder_s_is_refused(chain: Chain, pair: Pair, part: str) -> None:
    """Another key's seal, or one of another round, even with the right header beside it, or with none."""
    chain.edit(("count", 1, 1))
    header = chain.close_block()
    close, row = pair.read_last()
    other = {"seal": seal(header, make_key("somebody")), "round": seal(header, round_=1)}[part]
    pair.change_last(encode_record(Close(close.height, other)), row.header if part == "round" else None)
    with pytest.raises(Divergence) as caught:
        pair.take_all()
    assert part == caught.value.field


def test_a_close_without_a_header_beside_it_is_taken(chain: Chain, pair: Pair) -> None:
    """The header is only there to name a difference: a seeded log has none."""
    chain.edit(("count", 1, 1))
    chain.close_block()
    _, row = pair.read_last()
    pair.change_last(row.record, None)
    pair.compare()


def test_a_forced_entry_that_l1_does_not_have_is_refused(chain: Chain, pair: Pair) -> None:
    """Forced entries bear no signature: L1's queue vouches for them."""
    chain.force(make_random_edit(Random(9)), "frank")
    header = chain.sequencer.poll()
    assert header is not None
    (row,) = pair.log.read(2, 1)
    assert b"forced" in row.record
    rows = pair.log.read(0, 100)
    changed = link(rows[1].chain, [each.record.replace(b"forced\x00", b"forced\x01") for each in rows[2:]])
    for number, (chain_value, record) in enumerate(changed, 2):
        pair.log._ask("UPDATE log SET record = ?, chain = ? WHERE number = ?", [record, chain_value, number])
    with pytest.raises(Divergence) as caught:
        pair.take_all()
    assert "forced" == caught.value.field


def test_a_record_of_a_later_l1_waits(chain: Chain, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block bound to an L1 block that the standby does not see yet is taken once it does."""
    number = chain.l1.get_number()
    chain.advance(50)
    chain.work(Random(10), 1)
    with monkeypatch.context() as late:
        late.setattr(chain.l1, "get_number", lambda: number)
        assert 0 == pair.standby.step()
    pair.compare()


def test_a_longer_or_different_log_is_refused(chain: Chain, pair: Pair) -> None:
    """A store with records that the shared log lacks, or has in another way, does not join: both chains are named."""
    chain.work(Random(11), 1)
    chain.ledger.remote = None
    chain.edit(("count", 1, 1))
    with pytest.raises(OtherLog) as caught:
        Standby(pair.log, chain.ledger, chain.l1, "one", "http://one")
    number, own = chain.ledger.log_end
    assert (number - 1, own, None) == (caught.value.number, caught.value.own, caught.value.found)
    length = pair.log.get_end()
    rows = link(length.chain, [b"another", b"record"])
    pair.log.append(pair.leadership, length, rows)
    with pytest.raises(OtherLog) as caught:
        Standby(pair.log, chain.ledger, chain.l1, "one", "http://one")
    assert (own, rows[number - 1 - length.number][0]) == (caught.value.own, caught.value.found)
