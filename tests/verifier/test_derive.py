"""Deriving from L1 and its data alone: the same store to the byte of a header, or the first thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from kernel_fixtures import BUILDER, BUILDER_KEY, VERIFIER_KEY, Chain, fast_directory, seal
from microrollup.chain.block import Block, Header, compute_block_hash
from microrollup.errors import DecodeError, Divergence
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, encode_batch
from microrollup.settlement.ethereum.errors import BlobsMissing
from microrollup.settlement.place import LocalPlace
from microrollup.settlement.protocol import SettledBatch
from microrollup.verifier.derive import derive_blocks, read_settled_blocks
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Report, VerifierProgress, VerifierRequest
from microrollup.verifier.launch import run_verifier
from paths import SUPPORT
from zoo import zoo

CUTS = ((1, 3), (4, 4), (5, 6))
"""The batches; height 7 is closed and not settled."""


def settle(chain: Chain, blocks: list[Block], batch: bytes | None = None) -> None:
    """Settle blocks as a quorum does that does not look at them."""
    batch = encode_batch(chain.ledger.rollup_id, blocks) if batch is None else batch
    head, last = chain.l1.get_settled(), blocks[-1].header
    attestation = create_attestation(head.block_hash, head.height + 1, last, compute_data_hash(batch))
    signed = sign_attestation(VERIFIER_KEY, attestation, 31337, chain.l1.get_inbox())
    chain.l1.settle(batch, last, [signed], submitter=BUILDER)


class Settled:
    """A chain of seven blocks with forced actions, six of them settled in three batches."""

    def __init__(self, root: Path) -> None:
        self.chain = Chain(root)
        self.chain.work(Random(5), 7)
        self.blocks = self.chain.get_blocks()
        for first, last in CUTS:
            settle(self.chain, self.blocks[first - 1 : last])

    def derive(self, ledger: Ledger, l1: Any = None) -> list[int]:
        """Derive into a ledger; the heights that were told."""
        told: list[Header] = []
        with AuthenticationPool("zoo:zoo", self.chain.genesis.domain, 0) as pool:
            derive_blocks(ledger, l1 or self.chain.l1, pool, told.append)
        return [header.height for header in told]


@pytest.fixture
def settled() -> Iterator[Settled]:
    with fast_directory() as directory:
        made = Settled(directory)
        yield made
        made.chain.close()


def test_the_settled_chain_comes_out(settled: Settled) -> None:
    """All settled blocks come out with the builder's headers and seals, and end at the settled state root."""
    with settled.chain.make_verifier() as ledger:
        assert [1, 2, 3, 4, 5, 6] == settled.derive(ledger)
        assert settled.blocks[:6] == [ledger.get_block(height) for height in range(1, 7)]
        head = settled.chain.l1.get_settled()
        assert (head.block_hash, head.state_root) == (ledger.checkpoint.block_hash, ledger.header.state_root)
        assert [] == settled.derive(ledger)
        settle(settled.chain, settled.blocks[6:])
        assert [7] == settled.derive(ledger)


@pytest.mark.parametrize("height", range(1, 6))
def test_it_goes_on_from_any_height(settled: Settled, height: int) -> None:
    """A ledger that ends within a batch, as after a crash, takes the rest of it."""
    with settled.chain.make_verifier() as ledger:
        settled.chain.verify(ledger, settled.blocks[:height])
        assert list(range(height + 1, 7)) == settled.derive(ledger)
        assert settled.blocks[5].header == ledger.header


class Rewritten:
    """An L1 whose settled batch at a height is another one; all else is the truth."""

    def __init__(self, l1: Any, first: int, change: Callable[[SettledBatch], SettledBatch]) -> None:
        self._l1, self._first, self._change = l1, first, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._l1, name)

    def get_settled_at(self, height: int) -> SettledBatch | None:
        found: SettledBatch | None = self._l1.get_settled_at(height)
        return self._change(found) if found is not None and found.first_height == self._first else found


def refuse(settled: Settled, first: int, change: Callable[[SettledBatch], SettledBatch]) -> Divergence:
    """What is said about a batch that was changed; nothing from it on is stored as the batch's end."""
    with settled.chain.make_verifier() as ledger:
        with pytest.raises(Divergence) as caught:
            settled.derive(ledger, Rewritten(settled.chain.l1, first, change))
        assert ledger.checkpoint.height < caught.value.height
    return caught.value


@pytest.mark.parametrize("field", Header.__struct_fields__)
def test_each_word_of_the_settled_header_counts(settled: Settled, field: str) -> None:
    """If the inbox holds another header than execution gives, the first word that differs is named."""

    def change(batch: SettledBatch) -> SettledBatch:
        value = getattr(batch.header, field)
        other = value + 1 if isinstance(value, int) else bytes(31) + b"\x01"
        return msgspec.structs.replace(batch, header=msgspec.structs.replace(batch.header, **{field: other}))

    error = refuse(settled, 4, change)
    assert (4, "batch" if field == "height" else field) == (error.height, error.field)


@pytest.mark.parametrize("heights", [(5,), (6,), (4, 5, 6), (5, 6, 7), (1, 2)])
def test_a_batch_of_other_heights(settled: Settled, heights: tuple[int, ...]) -> None:
    """Data that hold more, fewer or other blocks than the header and the inbox say are refused."""
    batch = encode_batch(settled.chain.ledger.rollup_id, [settled.blocks[height - 1] for height in heights])
    error = refuse(settled, 5, lambda found: msgspec.structs.replace(found, batch=batch))
    assert (5, "batch") == (error.height, error.field)


def test_a_batch_of_another_rollup(settled: Settled) -> None:
    """The rollup id within the data counts as well."""
    blocks = [
        msgspec.structs.replace(block, header=msgspec.structs.replace(block.header, rollup_id=bytes(32)))
        for block in settled.blocks[3:4]
    ]
    batch = encode_batch(bytes(32), blocks)
    error = refuse(settled, 4, lambda found: msgspec.structs.replace(found, batch=batch))
    assert (4, "batch", bytes(32)) == (error.height, error.field, error.found)


def test_data_that_are_no_batch(settled: Settled) -> None:
    """What does not decode is no verdict about a block, and what is below stays derived. Who has the blocks from
    elsewhere derives on behind them.
    """
    l1 = Rewritten(settled.chain.l1, 5, lambda found: msgspec.structs.replace(found, batch=b"no batch"))
    with settled.chain.make_verifier() as ledger:
        with pytest.raises(DecodeError, match=r"height 5.*attested data that nobody can read.*leads past it"):
            settled.derive(ledger, l1)
        assert 4 == ledger.checkpoint.height
        settled.chain.verify(ledger, settled.blocks[4:6])
        settle(settled.chain, settled.blocks[6:])
        assert [7] == settled.derive(ledger, l1)


def collude(settled: Settled, change: Callable[[Block], Block]) -> Divergence:
    """The builder seals something else at height 7 and the quorum attests it, so that L1 takes it."""
    settle(settled.chain, [change(settled.blocks[6])])
    with settled.chain.make_verifier() as ledger, pytest.raises(Divergence) as caught:
        settled.derive(ledger)
    assert 7 == caught.value.height
    return caught.value


def reseal(block: Block, **changes: Any) -> Block:
    header = msgspec.structs.replace(block.header, **changes)
    return msgspec.structs.replace(block, header=header, seal=seal(header, BUILDER_KEY))


def test_a_colluding_quorum_is_found_out(settled: Settled) -> None:
    """A state root that builder and quorum made up is settled by L1, and refused by whoever derives."""
    error = collude(settled, lambda block: reseal(block, state_root=b"\x07" * 32))
    assert ("state_root", b"\x07" * 32) == (error.field, error.found)


def test_a_dropped_action_is_found_out(settled: Settled) -> None:
    """Data that lack an action which the header counts are refused."""
    error = collude(settled, lambda block: msgspec.structs.replace(block, records=block.records[:-1]))
    assert "action_count" == error.field


def test_a_foreign_seal_is_found_out(settled: Settled) -> None:
    """The last block's seal must be the builder's too."""
    error = collude(settled, lambda block: msgspec.structs.replace(block, seal=seal(block.header, VERIFIER_KEY)))
    assert "seal" == error.field


class Forgetful(Rewritten):
    """An L1 whose data below a height are gone, as blobs are after 18 days."""

    def __init__(self, l1: Any, lowest: int) -> None:
        super().__init__(l1, 0, lambda batch: batch)
        self._lowest = lowest

    def get_settled_at(self, height: int) -> SettledBatch | None:
        if height < self._lowest:
            raise BlobsMissing(bytes(32), [])
        return super().get_settled_at(height)


def test_l1_changed_its_mind(settled: Settled) -> None:
    """A ledger that derived what L1 replaced since says so, at the settled height and before what was built on it."""
    other = b"\x09" * 32

    def replace_parent(batch: SettledBatch) -> SettledBatch:
        claim = msgspec.structs.replace(batch.attestation, parent_hash=other)
        return msgspec.structs.replace(batch, attestation=claim)

    with settled.chain.make_verifier() as ledger:
        settled.derive(ledger)
        changed: Any = Rewritten(settled.chain.l1, 0, lambda batch: batch)
        head = msgspec.structs.replace(settled.chain.l1.get_settled(), block_hash=other)
        changed.get_settled = lambda: head
        with pytest.raises(Divergence) as caught:
            settled.derive(ledger, changed)
        assert (6, "settled", other) == (caught.value.height, caught.value.field, caught.value.found)
        settle(settled.chain, settled.blocks[6:])
        with pytest.raises(Divergence) as caught:
            settled.derive(ledger, Rewritten(settled.chain.l1, 7, replace_parent))
        assert (6, "settled", other) == (caught.value.height, caught.value.field, caught.value.found)
        assert [7] == settled.derive(ledger)


def test_data_below_are_not_asked_for(settled: Settled) -> None:
    """What was derived once needs its data no more: they may be gone. Data that are needed are missed by name."""
    with settled.chain.make_verifier() as ledger:
        settled.derive(ledger)
        assert [] == settled.derive(ledger, Forgetful(settled.chain.l1, 7))
        settle(settled.chain, settled.blocks[6:])
        assert [7] == settled.derive(ledger, Forgetful(settled.chain.l1, 7))
    with settled.chain.make_verifier("late") as ledger, pytest.raises(BlobsMissing):
        settled.derive(ledger, Forgetful(settled.chain.l1, 7))


def test_reading_ends_where_nothing_is_settled(settled: Settled) -> None:
    """The reader gives each block once, with a header at the end of each batch."""
    rollup_id = settled.chain.ledger.rollup_id
    read = list(read_settled_blocks(settled.chain.l1, rollup_id, 2))
    assert [2, 3, 4, 5, 6] == [block.open.height for block, _ in read]
    assert [3, 4, 6] == [header.height for _, header in read if header is not None]
    assert [] == list(read_settled_blocks(settled.chain.l1, rollup_id, 7))


# --- the verifier's process ------------------------------------------------------------------------------------------


def make_request(settled: Settled, directory: Path, **changes: Any) -> VerifierRequest:
    place = LocalPlace(str(settled.chain.root / "l1"))
    base = VerifierRequest("zoo:zoo", None, str(directory), [str(SUPPORT)], l1=place, workers=0)
    return msgspec.structs.replace(base, **changes)


def test_the_process_derives(settled: Settled, tmp_path: Path) -> None:
    """Without a source the verifier's process derives from L1; a report follows, and nothing is left to attest."""
    told: list[VerifierProgress] = []
    report = run_verifier(make_request(settled, tmp_path), told.append)
    assert isinstance(report, Report), report
    header = settled.blocks[5].header
    assert (6, 1, header.first_seq + header.action_count) == (report.verified, report.first, report.actions)
    assert f"0x{compute_block_hash(header).hex()}" == report.block_hash
    assert ([], []) == (report.attestations, report.unchecked)
    assert [1, 2, 3, 4, 5, 6] == [progress.height for progress in told]
    with Ledger.open(tmp_path / "store", zoo) as ledger:
        assert settled.blocks[:6] == [ledger.get_block(height) for height in range(1, 7)]


def test_a_source_that_began_with_a_snapshot(settled: Settled, tmp_path: Path) -> None:
    """A verifier without a store takes from L1 what the source no longer has, and the rest from the source; without a
    view of L1 it says that it cannot.
    """
    chain = settled.chain
    restored = tmp_path / "restored"
    write_snapshot(chain.ledger.environment, zoo, tmp_path / "snapshot", 6)
    with restore_snapshot(tmp_path / "snapshot", restored, zoo, l1=chain.l1, map_size=chain.map_size) as ledger:
        chain.verify(ledger, settled.blocks[6:])
    place = LocalPlace(str(chain.root / "l1"))
    report = run_verifier(make_request(settled, tmp_path / "one", source=str(restored), l1=place))
    assert isinstance(report, Report), report
    header = settled.blocks[6].header
    assert (7, header.first_seq + header.action_count) == (report.verified, report.actions)
    nowhere = run_verifier(make_request(settled, tmp_path / "two", source=str(restored), l1=None))
    assert isinstance(nowhere, ErrorEvent)
    assert "NotRetained" == nowhere.kind


def test_the_process_says_what_is_wrong(settled: Settled, tmp_path: Path) -> None:
    """A colluding quorum ends in a divergence, and no L1 in an error."""
    settle(settled.chain, [reseal(settled.blocks[6], metadata_root=bytes(32))])
    outcome = run_verifier(make_request(settled, tmp_path / "one"))
    assert isinstance(outcome, DivergenceEvent)
    assert (7, "metadataRoot") == (outcome.height, outcome.field)
    nowhere = run_verifier(make_request(settled, tmp_path / "two", l1=None))
    assert isinstance(nowhere, ErrorEvent)
    assert "UsageError" == nowhere.kind
