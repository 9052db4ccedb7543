"""A reorg of L1 that changes a block's time after a quorum attested: nobody is cut off, and nobody signs too early.

On a real L1: a block's late arrival is replaced by an earlier one of the same number, as Ethereum does with a slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ethereum_harness import DEPLOYER, fund
from kernel_fixtures import BUILDER, BUILDER_KEY, MAP_SIZE, OWNER, VERIFIER, VERIFIER_KEY, seal
from l1_fixtures import Anvil, run_anvil
from microrollup.chain.block import Block
from microrollup.chain.record import Genesis, Open
from microrollup.errors import Divergence
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.primitives import MAX_CLOCK_LEAD_SECONDS
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.ethereum.deploy import deploy_inbox, plan_inbox
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import attest, read_judgeable, verify_blocks
from microrollup.verifier.l1_rules import NotJudgedYet
from microrollup.verifier.signatures import SignedHeights
from zoo import zoo

SLOT = 12


class World:
    """An L1 with an inbox, and a block at the edge of the clock's rule, bound to an L1 block that came a slot late."""

    def __init__(self, root: Path, anvil: Anvil) -> None:
        self.root = root
        self.anvil = anvil
        anvil.mine(20)
        number, time = anvil.get_head()
        genesis = make_genesis(
            zoo, builder=BUILDER, verifiers=(VERIFIER,), quorum=1, l1_start=number, genesis_time=time, l1_chain_id=31337
        )
        options = EthereumOptions(anvil.url, poll_seconds=0, da="calldata", settle_seconds=60, timeout_seconds=20)
        deployed = deploy_inbox(options, DEPLOYER, plan_inbox(genesis, OWNER, zoo.stf_id))
        self.genesis: Genesis = deployed.genesis
        self.options = msgspec.structs.replace(options, inbox=deployed.inbox)
        anvil.mine(20)
        self.before = anvil.get_head()
        self.make_block(2 * SLOT)
        self.origin, self.origin_time = anvil.get_head()

    def make_block(self, seconds: int) -> None:
        """L1's next block, so long after the block before the late one."""
        self.anvil.call("evm_setNextBlockTimestamp", self.before[1] + seconds)
        self.anvil.call("evm_mine")

    def replace(self, depth: int) -> None:
        """L1 takes its newest blocks back, and the late one comes a slot earlier; then more than an hour passes."""
        self.anvil.call("anvil_rollback", depth)
        self.make_block(SLOT)
        assert (self.origin, self.origin_time - SLOT) == self.anvil.get_head()
        self.anvil.mine(310)

    def build(self) -> Block:
        """What a builder makes that takes the clock's whole lead."""
        with Ledger.create(self.root / "builder", zoo, self.genesis, map_size=MAP_SIZE) as ledger:
            ledger.begin(Open(1, self.origin_time + MAX_CLOCK_LEAD_SECONDS, self.origin, zoo.stf_id))
            closing = ledger.compute_header()
            ledger.finish(closing, seal(closing.header))
            block = ledger.get_block(1)
        assert block is not None
        return block

    def open(self, depth: int) -> EthereumSettlement:
        return EthereumSettlement.open(msgspec.structs.replace(self.options, depth=depth), [BUILDER_KEY])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with run_anvil() as anvil:
        fund(anvil, BUILDER_KEY)
        yield World(tmp_path, anvil)


@pytest.fixture(scope="module")
def pool() -> Iterator[AuthenticationPool]:
    with AuthenticationPool("zoo:zoo", zoo_domain(), 0) as made:
        yield made


def zoo_domain() -> Any:
    """No block here has a signed action."""
    return make_genesis(
        zoo, builder=BUILDER, verifiers=(VERIFIER,), quorum=1, l1_start=1, genesis_time=1, l1_chain_id=31337
    ).domain


@pytest.mark.parametrize("depth", [2, 12])
def test_a_reorg_within_the_depth_meets_no_judgement(world: World, pool: AuthenticationPool, depth: int) -> None:
    """Verifiers whose depth covers the reorg have judged nothing by then, so none of them has signed; afterwards the
    block is what it is: too far ahead of its L1 block, and refused.
    """
    block, l1 = world.build(), world.open(depth)
    world.anvil.mine(depth - 1)
    with Ledger.create(world.root / "verifier", zoo, world.genesis, audit=True, map_size=MAP_SIZE) as ledger:
        with pytest.raises(NotJudgedYet) as caught:
            verify_blocks(ledger, read_judgeable([block], l1), l1, pool)
        assert (world.origin, world.origin - 1) == (caught.value.l1_origin, caught.value.newest)
        assert 0 == ledger.checkpoint.height
        world.replace(depth)
        with pytest.raises(Divergence) as refused:
            verify_blocks(ledger, read_judgeable([block], l1), l1, pool)
        assert ("timestamp", 1) == (refused.value.field, refused.value.height)
        ledger.abandon()
    l1.close()


def test_a_deeper_reorg_cuts_nobody_off(world: World, pool: AuthenticationPool) -> None:
    """A quorum of depth 1 attested, and L1 takes two blocks back. It does not sign again; but what it signed settles,
    and everybody derives it from L1, and verifies it from the builder's blocks.
    """
    block, l1 = world.build(), world.open(1)
    batch = encode_batch(block.header.rollup_id, [block])
    world.anvil.mine(1)
    with (
        Ledger.create(world.root / "verifier", zoo, world.genesis, audit=True, map_size=MAP_SIZE) as ledger,
        SignedHeights(world.root / "signed") as signed,
        SignedHeights(world.root / "later") as later,
    ):
        verify_blocks(ledger, read_judgeable([block], l1), l1, pool)
        (attestation,) = attest(ledger, l1, VERIFIER_KEY, signed, lambda _: [batch])
        world.replace(2)
        with pytest.raises(Divergence, match="timestamp"):
            attest(ledger, l1, VERIFIER_KEY, later, lambda _: [batch])
        assert later.get(ledger.rollup_id, 1) is None
    assert 1 == l1.settle(batch, block.header, [attestation], submitter=BUILDER).height
    world.anvil.mine(12)
    reader = world.open(12)
    with Ledger.create(world.root / "reader", zoo, world.genesis, audit=True, map_size=MAP_SIZE) as ledger:
        derive_blocks(ledger, reader, pool)
        assert block == ledger.get_block(1)
    with Ledger.create(world.root / "new", zoo, world.genesis, audit=True, map_size=MAP_SIZE) as ledger:
        verify_blocks(ledger, read_judgeable([block], reader), reader, pool)
        assert block == ledger.get_block(1)
    reader.close()
    l1.close()
