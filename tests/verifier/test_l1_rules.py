"""What L1 says, and who is held to it: blocks that wait for the inbox to everything, settled ones to what it fixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kernel_fixtures import BUILDER, START, VERIFIER_KEY, Chain, make_steps, seal
from microrollup.chain.block import Block
from microrollup.chain.record import Open
from microrollup.errors import Divergence
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import make_forced_entry, make_signed_entry
from microrollup.execution.stf import Entry
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_CLOCK_LEAD_SECONDS
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, encode_batch
from microrollup.settlement.forced import take_entry
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.settlement.protocol import L1Look
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import attest, read_judgeable, verify_blocks
from microrollup.verifier.l1_rules import NotJudgedYet, verify_block_on_l1
from microrollup.verifier.signatures import SignedHeights


class Site:
    """A rollup whose builder is at liberty, over the local inbox."""

    def __init__(self, root: Path) -> None:
        self.chain = Chain(root)
        self.pool = AuthenticationPool("zoo:zoo", self.chain.genesis.domain, 0)
        self._readers = count()

    def close(self) -> None:
        """Close everything but readers."""
        self.pool.close()
        self.chain.close()

    def make_reader(self) -> Ledger:
        """The empty store of somebody new."""
        return self.chain.make_verifier(f"reader {next(self._readers)}")

    def build(self, origin: int, *entries: Entry, lead: int = 0) -> Block:
        """A block with these entries, bound to an L1 block and so many seconds after it."""
        ledger = self.chain.ledger
        height, time = ledger.header.height + 1, origin * SECONDS_PER_BLOCK + lead
        ledger.begin(Open(height, time, origin, self.chain.rollup.stf_id))
        ledger.execute(entries)
        closing = ledger.compute_header()
        ledger.finish(closing, seal(closing.header))
        return self.chain.get_blocks(height)[0]

    def sign(self) -> Entry:
        """Somebody's action."""
        return make_signed_entry(self.chain.rollup, self.chain.signer.sign(make_steps(("count", 0, 1)), "alice"))

    def force(self, *, voided: bool = False) -> Entry:
        """An action in the queue, as a block takes it."""
        index = self.chain.force(make_steps(("count", 0, 1)), "carol")
        (entry,) = self.chain.l1.get_forced_entries(index, self.chain.l1.get_number(), 1)
        ledger = self.chain.ledger
        return make_forced_entry(
            ledger.rollup, ledger.rollup_id, take_entry(entry, voided=voided), ledger.authenticator
        )

    def settle(self, blocks: Sequence[Block]) -> None:
        """A quorum that does not look attests, and the inbox takes it."""
        l1, last = self.chain.l1, blocks[-1].header
        batch, head = encode_batch(last.rollup_id, blocks), l1.get_settled()
        attestation = create_attestation(head.block_hash, head.height + 1, last, compute_data_hash(batch))
        l1.settle(batch, last, [sign_attestation(VERIFIER_KEY, attestation, 31337, l1.get_inbox())], submitter=BUILDER)

    def verify(self, blocks: Sequence[Block], l1: Any = None) -> Ledger:
        """A new verifier, after it has verified these blocks."""
        with self.make_reader() as ledger:
            verify_blocks(ledger, blocks, l1 or self.chain.l1, self.pool)
            return ledger

    def refuse(self, blocks: Sequence[Block], l1: Any = None) -> tuple[str, int]:
        """The field and the height at which a new verifier refuses the last of these blocks."""
        with pytest.raises(Divergence) as caught:
            self.verify(blocks, l1)
        return caught.value.field, caught.value.height

    def derive(self, l1: Any = None) -> int:
        """How far somebody comes who has L1 alone."""
        with self.make_reader() as ledger:
            derive_blocks(ledger, l1 or self.chain.l1, self.pool)
            return ledger.checkpoint.height


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(Site(tmp_path)) as made:
        yield made


class Moved:
    """An L1 after a reorg: from block `number` on its times are others; or a view that stays `depth` blocks behind."""

    def __init__(self, l1: Any, number: int = 1 << 63, seconds: int = 0, depth: int = 1) -> None:
        self._l1, self.number, self.seconds, self.depth = l1, number, seconds, depth

    def __getattr__(self, name: str) -> Any:
        return getattr(self._l1, name)

    def get_origin(self) -> int:
        return int(self._l1.get_number()) - self.depth

    def look(self, origin: int, forced_count: int) -> L1Look:
        found: L1Look = self._l1.look(origin, forced_count)
        moved = found.time + (self.seconds if origin >= self.number else 0)
        return L1Look(found.number, found.now, moved, found.builder, found.stf_id, found.forced)


@pytest.mark.parametrize(
    ("lead", "seconds"), [(MAX_CLOCK_LEAD_SECONDS, -SECONDS_PER_BLOCK), (0, SECONDS_PER_BLOCK), (0, 1)]
)
def test_the_clock_of_what_is_settled(site: Site, lead: int, seconds: int) -> None:
    """A block at either edge of the clock's rule, whose L1 block gets another time: until it is settled it is wrong,
    and once the inbox took it everybody derives it, and verifies it from the builder's blocks.
    """
    origin = site.chain.l1.get_number() - 1
    first, second = site.build(origin, site.sign(), lead=lead), site.build(origin + 1, lead=lead)
    site.chain.advance(400)
    site.verify([first, second])
    moved = Moved(site.chain.l1, origin, seconds)
    assert ("timestamp", 1) == site.refuse([first, second], moved)
    site.settle([first])
    assert 1 == site.derive(moved)
    assert 1 == site.verify([first], moved).checkpoint.height
    assert ("timestamp", 2) == site.refuse([first, second], moved)  # the other one still waits for the inbox
    with pytest.raises(Divergence):
        verify_block_on_l1(first, moved)


def test_how_many_were_due_in_what_is_settled(site: Site) -> None:
    """The inbox looks at a batch's last header. What a block within it left in the queue, or took early, is refused
    before it is settled and settles nothing else; afterwards everybody derives it.
    """
    entry = site.force()
    due = site.chain.l1.get_forced_entries(0, 1 << 60, 1)[0].inclusion_block
    late = [site.build(due, site.sign()), site.build(due + 1, entry, site.sign())]
    assert ("forced_count", 1) == site.refuse(late)
    site.settle(late)
    assert 2 == site.derive()
    assert 2 == site.verify(late).checkpoint.height
    again = site.force()
    early = site.build(due + 1, again)
    assert ("forced_count", 3) == site.refuse([*late, early])
    site.settle([early])
    assert 3 == site.derive()
    assert 3 == site.verify([*late, early]).checkpoint.height


def test_what_the_header_fixes_counts_in_what_is_settled(site: Site) -> None:
    """Which actions were forced, and whether they are void, is fixed: a quorum that settles another outcome is found
    out. The same block without the lie is derived.
    """
    entry = site.force(voided=True)
    origin = site.chain.l1.get_number() - 1
    lie = site.build(origin, entry)
    site.settle([lie])
    with pytest.raises(Divergence) as caught:
        site.derive()
    assert ("forced", 0) == (caught.value.field, caught.value.seq)
    assert ("forced", 1) == site.refuse([lie])


def test_a_block_has_the_time_of_its_l1_block_or_later(site: Site) -> None:
    """From the time of the L1 block that it is bound to until an hour later; a second before or after is refused."""
    origin = site.chain.l1.get_number() - 1
    for lead in (0, MAX_CLOCK_LEAD_SECONDS):
        with closing(Site(site.chain.root / f"edge {lead}")) as other:
            site.verify([other.build(origin, lead=lead)])
    for lead in (-1, MAX_CLOCK_LEAD_SECONDS + 1):
        with closing(Site(site.chain.root / f"beyond {lead}")) as other:
            assert ("timestamp", 1) == site.refuse([other.build(origin, lead=lead)])


def test_a_builder_whose_clock_is_late(site: Site) -> None:
    """It takes the L1 block's time, which verifiers accept; without a clock that is late it takes its own."""
    chain, clock = site.chain, [0.0]
    chain.sequencer._clock = lambda: clock[0]
    chain.advance(3)
    chain.edit(("count", 0, 1))
    late = chain.close_block()
    assert late.l1_origin * SECONDS_PER_BLOCK == late.timestamp > START * SECONDS_PER_BLOCK
    clock[0] = chain.seconds - 1
    chain.edit(("count", 0, 1))
    assert int(clock[0]) == chain.close_block().timestamp
    chain.verify(chain.make_verifier())


@pytest.mark.parametrize("depth", [1, 12])
def test_what_is_bound_to_the_newest_l1_blocks_waits(site: Site, depth: int) -> None:
    """A block is judged once its L1 block has the view's depth on top: not one L1 block earlier, and nothing after it.
    What comes before it is kept.
    """
    l1 = Moved(site.chain.l1, depth=depth)
    site.chain.advance(20)
    origin = site.chain.l1.get_number() - depth
    blocks = [site.build(origin), site.build(origin + 1), site.build(origin + 1)]
    with site.chain.make_verifier() as ledger:
        with pytest.raises(NotJudgedYet) as caught:
            verify_blocks(ledger, read_judgeable(blocks, l1), l1, site.pool)
        assert (2, origin + 1, origin) == (caught.value.height, caught.value.l1_origin, caught.value.newest)
        assert 1 == ledger.checkpoint.height
        site.chain.advance()
        verify_blocks(ledger, read_judgeable(blocks[1:], l1), l1, site.pool)
        assert 3 == ledger.checkpoint.height


def test_judged_again_before_it_is_signed(site: Site, tmp_path: Path) -> None:
    """A batch whose block L1 has made wrong since it was verified is neither signed nor noted, and what is not deep
    enough any more waits; with L1 as it was it is signed.
    """
    origin = site.chain.l1.get_number() - 1
    blocks = [site.build(origin, lead=5), site.build(origin + 1, site.sign(), lead=5)]
    site.chain.advance(2)
    batch = encode_batch(blocks[0].header.rollup_id, blocks)
    with site.chain.make_verifier() as ledger, SignedHeights(tmp_path / "signed") as signed:

        def sign(l1: Any) -> int:
            return len(attest(ledger, l1, VERIFIER_KEY, signed, lambda first: [batch]))

        verify_blocks(ledger, blocks, site.chain.l1, site.pool)
        with pytest.raises(Divergence) as caught:
            sign(Moved(site.chain.l1, origin, 6))
        assert ("timestamp", 1) == (caught.value.field, caught.value.height)
        assert 0 == sign(Moved(site.chain.l1, depth=3))
        assert signed.get(ledger.rollup_id, 1) is None
        assert 1 == sign(Moved(site.chain.l1, origin, 5))
        assert signed.get(ledger.rollup_id, 2) is not None
