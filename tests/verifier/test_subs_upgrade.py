"""Subscriptions that are upgraded on L1 by a builder that is killed meanwhile: whoever looks afterwards, and by
whatever way, finds the same state.

The whole run, by hand: `MICROROLLUP_PLANS=100000 python -m pytest tests/verifier/test_subs_upgrade.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

import subs_big
import trial_subs as v1
import trial_subs_v2 as v2
from ethereum_harness import DEPLOYER, fund
from kernel_fixtures import BUILDER, BUILDER_KEY, MAP_SIZE, VERIFIER, VERIFIER_KEY, make_key
from l1_fixtures import Anvil, run_anvil
from microrollup import Action
from microrollup.chain.export import BlockFile, write_blocks
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.ledger.code import read_manifests
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import compare_stores, replay_log
from microrollup.maintenance.snapshot import restore_snapshot, write_snapshot
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.batch import cut_batches, encode_batch
from microrollup.settlement.due import make_may_end
from microrollup.settlement.ethereum.deploy import deploy_inbox, plan_inbox
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.testing.anvil import pass_blocks
from microrollup.testing.signing import sign_action
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import attest, verify_blocks
from microrollup.verifier.signatures import SignedHeights
from paths import SUPPORT

OWNER_KEY, ALICE_KEY = make_key("owner of the subscriptions"), make_key("alice")
DEPTH = 1
PLAN = 3


class Site:
    """A builder's ledger and its inbox on L1; what others make of them."""

    def __init__(self, anvil: Anvil, root: Path, stack: ExitStack) -> None:
        self.root, self.stack = root, stack
        number, time = anvil.get_head()
        genesis = make_genesis(
            subs_big.app, builder=BUILDER, verifiers=(VERIFIER,), quorum=1, l1_start=number - DEPTH,
            genesis_time=time - 12 * DEPTH, l1_chain_id=31337,
        )  # fmt: skip
        options = EthereumOptions(anvil.url, poll_seconds=0, da="calldata", depth=DEPTH, settle_seconds=60)
        deployed = deploy_inbox(
            options, DEPLOYER, plan_inbox(genesis, compute_address(OWNER_KEY), subs_big.first.stf_id)
        )
        self.genesis: Genesis = deployed.genesis
        self.options = msgspec.structs.replace(options, inbox=deployed.inbox)
        (root / "options.json").write_bytes(msgspec.json.encode(self.options))
        self.l1 = self.open_l1(BUILDER_KEY, OWNER_KEY)
        self.pool = stack.enter_context(AuthenticationPool("subs_big:app", self.genesis.domain, 0))
        self.signed = stack.enter_context(SignedHeights(root / "signed"))
        self.verifier = self.create("verifier")
        self.create("builder", audit=False).close()

    def open_l1(self, *keys: PrivateKey) -> EthereumSettlement:
        return self.stack.enter_context(closing(EthereumSettlement.open(self.options, list(keys))))

    def create(self, name: str, *, audit: bool = True) -> Ledger:
        made = Ledger.create(self.root / name, subs_big.app, self.genesis, audit=audit, map_size=MAP_SIZE)
        return self.stack.enter_context(made)

    def open(self) -> Ledger:
        return Ledger.open(self.root / "builder", subs_big.app)

    def do(self, *actions: Action) -> None:
        """One block of Alice's actions."""
        with self.open() as ledger, closing(Sequencer[int](ledger, BUILDER_KEY, self.l1, upgrade=True)) as sequencer:
            version, domain = ledger.rollup, self.genesis.domain
            own = version.make_domain(domain.chain_id, domain.verifying_contract)
            for action in actions:
                nonce = ledger.state.nonces.get(compute_address(ALICE_KEY), 0)
                line = sign_action(version, action, nonce, ALICE_KEY, own)
                ((_, outcome),) = sequencer.submit([(0, ledger.authenticator.authenticate_line(line))])
                assert isinstance(outcome, Sequenced)
                assert 0 == outcome.receipt.status
            sequencer.close_block()

    def upgrade(self, stage: str = "") -> int:
        """Build what is due in a process of its own; its exit code."""
        paths = str(self.root / "builder"), str(self.root / "options.json")
        command = [sys.executable, "-m", "subs_big", *paths, stage]
        path = os.pathsep.join([str(SUPPORT), str(SUPPORT.parent.parent)])
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode

    def settle(self) -> list[list[int]]:
        """Verify, attest and settle what is not settled; the heights of each batch."""
        with self.open() as ledger:
            heights = range(1, ledger.checkpoint.height + 1)
            blocks = [block for height in heights if (block := ledger.get_block(height)) is not None]
        verify_blocks(self.verifier, blocks[self.verifier.checkpoint.height :], self.l1, self.pool)
        head, settled = self.l1.get_settled(), []
        may_end = make_may_end(self.l1)
        for batch in cut_batches(blocks[head.height :], may_end=may_end, forced_count=head.forced_count):
            data = encode_batch(self.verifier.rollup_id, batch)
            attestations = attest(self.verifier, self.l1, VERIFIER_KEY, self.signed, lambda *_, data=data: [data])
            self.l1.settle(data, batch[-1].header, attestations, submitter=BUILDER)
            settled.append([block.header.height for block in batch])
        return settled


def test_subscriptions_are_upgraded_on_l1(tmp_path: Path) -> None:
    """Killed in the middle of the migration and when it is written; then replay, a file, L1 and snapshots agree."""
    with ExitStack() as stack:
        anvil = stack.enter_context(run_anvil())
        fund(anvil, BUILDER_KEY, ALICE_KEY, OWNER_KEY)
        anvil.mine(DEPTH + 1)
        site = Site(anvil, tmp_path, stack)
        site.do(v1.Fund(amount=5_000), v1.Subscribe(payee=subs_big.PAYEE, cents=5, every=3_600))
        assert [[1]] == site.settle()
        site.l1.announce_code(subs_big.app.stf_id, caller=compute_address(OWNER_KEY))
        pass_blocks(anvil, CHANGE_DELAY_BLOCKS + 5)

        for stage, height in (("migrating", 1), ("committed", 2)):
            assert -signal.SIGKILL == site.upgrade(stage)
            with site.open() as ledger:
                assert (height, str(height)) == (ledger.header.height, ledger.rollup.version)
        assert 0 == site.upgrade()
        site.do(v2.Pay(plan=PLAN), v2.Pay(plan=subs_big.PLANS + 1))
        assert [[2, 3]] == site.settle()

        builder = stack.enter_context(site.open())
        state = builder.state.app
        assert isinstance(state, v2.Subs)
        assert subs_big.PLANS + 1 == len(state.plans)
        assert (1, 0) == (state.plans[PLAN].payments, state.plans[PLAN + 1].payments)
        assert 700 + 35 == state.funds[subs_big.PAYEE]
        check_all_ways(site, builder)


def check_all_ways(site: Site, builder: Ledger) -> None:
    """Verified, replayed, read from a file, derived from L1, restored before and after: the same checkpoint."""
    assert builder.checkpoint == site.verifier.checkpoint
    environment = builder.environment
    with replay_log(environment, subs_big.app, site.root / "replayed", site.pool) as replayed:
        builder.sync_tree()
        replayed.sync_tree()
        assert [] == compare_stores(environment, replayed.environment)
    blocks = [block for height in (1, 2, 3) if (block := builder.get_block(height)) is not None]
    with (site.root / "blocks").open("wb") as file:
        write_blocks(file, site.genesis, blocks, tuple(read_manifests(environment).values()))
    from_file, from_l1 = site.create("from a file"), site.create("from l1")
    verify_blocks(from_file, BlockFile(site.root / "blocks").read_blocks(), None, site.pool)
    derive_blocks(from_l1, site.open_l1(), site.pool)
    assert builder.checkpoint == from_file.checkpoint == from_l1.checkpoint
    for height in (1, 2, 3):
        path = site.root / f"{height}.snapshot"
        info = write_snapshot(environment, subs_big.app, path, height)
        directory = site.root / f"at {height}"
        with restore_snapshot(path, directory, subs_big.app, expected_block_hash=info.block_hash) as restored:
            verify_blocks(restored, blocks[height:], site.l1, site.pool)
            assert builder.checkpoint == restored.checkpoint
