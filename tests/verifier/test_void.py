"""An operator who owns the inbox too voids what a user forced: how long it takes, and who sees it meanwhile.

Builder, owner and verifiers over the local inbox, whose rules are the contract's; `Owner.t.sol` has the same for the
contract alone. It is dearer and later than a day of silence, and not impossible: only the builder seals.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel_fixtures import BUILDER, OWNER, VERIFIER_KEY, Chain, make_key, make_steps, seal
from microrollup.chain.block import Block
from microrollup.chain.receipt import EXECUTED, VOIDED_FORCED
from microrollup.chain.record import Open
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import Divergence
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.entry import make_forced_entry
from microrollup.execution.payload import encode_forced_payload
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.attestation import create_attestation, sign_attestation
from microrollup.settlement.batch import compute_data_hash, encode_batch
from microrollup.settlement.errors import BadOrigin, NotBuilder
from microrollup.settlement.forced import take_entry
from microrollup.settlement.inbox import (
    BUILDER_SILENCE_BLOCKS,
    CHANGE_DELAY_BLOCKS,
    MAX_ORIGIN_AGE_BLOCKS,
    VOID_AGE_BLOCKS,
)
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import verify_blocks

STRANGER = compute_address(make_key("stranger"))


class Operator:
    """Builds and owns; an honest verifier re-executes everything and attests only what is right."""

    def __init__(self, root: Path) -> None:
        self.chain = Chain(root)
        self.l1 = self.chain.l1
        self.verifier = self.chain.make_verifier()
        self.pool = AuthenticationPool("zoo:zoo", self.chain.genesis.domain, 0)
        self.chain.advance(5)
        self.forced_at = self.l1.get_number()
        self.status = -1
        """Of the forced action, as it was taken last."""
        payload = encode_forced_payload(self.chain.rollup, make_steps(("count", 0, 1)))
        self.l1.force(payload, sender=compute_address(make_key("carol")))
        self.effective = self.l1.void(0, caller=OWNER)

    def close(self) -> None:
        """Let go of all of it."""
        self.pool.close()
        self.verifier.abandon()
        self.chain.close()

    def go_to(self, number: int) -> None:
        """L1 goes on until the current block has a number."""
        self.chain.advance(number - self.l1.get_number())

    def build(self, origin: int, *, voided: bool | None = None) -> Block:
        """The next block, bound to an L1 block; it takes the forced action if it says whether that is void."""
        ledger = self.chain.ledger
        ledger.begin(Open(ledger.header.height + 1, origin * SECONDS_PER_BLOCK, origin, self.chain.rollup.stf_id))
        if voided is not None:
            (entry,) = self.l1.get_forced_entries(0, 1 << 60, 1)
            forced = take_entry(entry, voided=voided)
            (receipt,) = ledger.execute(
                [make_forced_entry(self.chain.rollup, ledger.rollup_id, forced, ledger.authenticator)]
            )
            self.status = receipt.status
        closing = ledger.compute_header()
        ledger.finish(closing, seal(closing.header))
        return self.chain.get_blocks(ledger.checkpoint.height)[0]

    def verify(self, block: Block) -> None:
        """Raises `Divergence` and forgets the block if it is wrong."""
        try:
            verify_blocks(self.verifier, [block], self.l1, self.pool)
        except Divergence:
            self.verifier.abandon()
            self.verifier = Ledger.open(self.chain.root / "verifier", self.chain.rollup, audit=True)
            raise

    def settle(self, *blocks: Block, submitter: bytes = BUILDER) -> None:
        """With the signature of the verifier, who has verified them."""
        last = blocks[-1].header
        batch, head = encode_batch(last.rollup_id, blocks), self.l1.get_settled()
        attestation = create_attestation(head.block_hash, head.height + 1, last, compute_data_hash(batch))
        signed = sign_attestation(VERIFIER_KEY, attestation, 31337, self.l1.get_inbox())
        self.l1.settle(batch, last, [signed], submitter=submitter)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with closing(Operator(tmp_path)) as made:
        yield made


def test_an_operator_waits_for_its_void(operator: Operator) -> None:
    """For two days batches may stay bound to the L1 block before the entry, and honest verifiers attest them. Then the
    inbox takes none for four days, in which anybody may settle; only after them is the void one.
    """
    before, last = operator.forced_at - 1, operator.forced_at - 1 + MAX_ORIGIN_AGE_BLOCKS
    assert operator.forced_at + VOID_AGE_BLOCKS == operator.effective > operator.forced_at + CHANGE_DELAY_BLOCKS
    for number in range(operator.forced_at + 4_000, last, 4_000):
        operator.go_to(number)
        stale = operator.build(before)
        operator.verify(stale)
        operator.settle(stale)
    operator.go_to(last)
    stale = operator.build(before)
    operator.verify(stale)
    operator.settle(stale)
    silent = operator.l1.get_number()
    operator.go_to(last + 1)
    late = operator.build(before)
    operator.verify(late)
    with pytest.raises(BadOrigin):
        operator.settle(late)
    operator.go_to(silent + BUILDER_SILENCE_BLOCKS)
    with pytest.raises(NotBuilder):
        operator.settle(late, submitter=STRANGER)
    operator.go_to(silent + BUILDER_SILENCE_BLOCKS + 1)
    with pytest.raises(BadOrigin):  # the stranger may; a block that holds the entry back is too old for it as well
        operator.settle(late, submitter=STRANGER)
    operator.go_to(operator.effective + 1)
    assert 4 * BUILDER_SILENCE_BLOCKS + 2 == operator.l1.get_number() - silent
    jump = operator.build(operator.effective, voided=True)
    operator.verify(jump)
    assert (1, VOIDED_FORCED) == (jump.header.forced_count, operator.status)
    operator.settle(late, jump)
    with operator.chain.make_verifier("reader") as reader:
        derive_blocks(reader, operator.l1, operator.pool)
        assert jump == reader.get_block(jump.header.height)


@pytest.mark.parametrize("ahead", [1, VOID_AGE_BLOCKS - CHANGE_DELAY_BLOCKS, VOID_AGE_BLOCKS])
def test_what_is_not_void_yet_is_executed(operator: Operator, ahead: int) -> None:
    """A block bound to the last L1 block before the void takes effect, or to any earlier one, has to execute the entry:
    honest verifiers refuse it as voided, and refuse the block without it once it holds another action.
    """
    origin = operator.effective - ahead
    operator.go_to(origin + 1)
    lie = operator.build(origin, voided=True)
    with pytest.raises(Divergence) as caught:
        operator.verify(lie)
    assert ("forced", 0) == (caught.value.field, caught.value.seq)
    with closing(Operator(operator.chain.root / "honest")) as honest:
        honest.go_to(origin + 1)
        block = honest.build(origin, voided=False)
        honest.verify(block)
        assert EXECUTED == honest.status
        honest.settle(block)
        assert 1 == honest.l1.get_settled().forced_count
