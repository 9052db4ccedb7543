"""Upgrades with the inbox in Solidity: announced on L1, built, verified, settled, and derived by somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from ethereum_harness import DEPLOYER, fund
from kernel_fixtures import BUILDER, BUILDER_KEY, MAP_SIZE, VERIFIER, VERIFIER_KEY, make_key
from l1_fixtures import Anvil, run_anvil
from microrollup import Action
from microrollup.crypto.ecdsa import compute_address
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.payload import encode_forced_payload
from microrollup.ledger.code import OtherCode
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
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
from shop import v1, v2, v3

OWNER_KEY, ALICE_KEY = make_key("owner of the shop"), make_key("alice")
DEPTH = 1


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_anvil() as anvil:
        fund(anvil, BUILDER_KEY, ALICE_KEY, OWNER_KEY)
        anvil.mine(DEPTH + 1)
        yield anvil


class Shop:
    """A builder, a verifier and readers on one inbox."""

    def __init__(self, anvil: Anvil, root: Path, stack: ExitStack) -> None:
        number, time = anvil.get_head()
        genesis = make_genesis(
            v3.app, builder=BUILDER, verifiers=(VERIFIER,), quorum=1, l1_start=number - DEPTH,
            genesis_time=time - 12 * DEPTH, l1_chain_id=31337,
        )  # fmt: skip
        options = EthereumOptions(anvil.url, poll_seconds=0, da="calldata", depth=DEPTH, settle_seconds=60)
        plan = plan_inbox(genesis, compute_address(OWNER_KEY), v1.app.stf_id)
        deployed = deploy_inbox(options, DEPLOYER, plan)
        self.anvil, self.root, self.stack, self.genesis = anvil, root, stack, deployed.genesis
        self.options = msgspec.structs.replace(options, inbox=deployed.inbox)
        self.l1 = self.open_l1(BUILDER_KEY, ALICE_KEY, OWNER_KEY)
        self.pool = stack.enter_context(AuthenticationPool("shop.v3", self.genesis.domain, 0))
        self.ledger, self.verifier = self.create("builder"), self.create("verifier")
        self.sequencer: Sequencer[int] = stack.enter_context(
            closing(Sequencer(self.ledger, BUILDER_KEY, self.l1, upgrade=True))
        )
        self.signed = stack.enter_context(SignedHeights(root / "signed"))

    def open_l1(self, *keys: object) -> EthereumSettlement:
        return self.stack.enter_context(closing(EthereumSettlement.open(self.options, list(keys))))  # type: ignore[arg-type]

    def create(self, name: str, app: object = v3.app) -> Ledger:
        made = Ledger.create(self.root / name, app, self.genesis, audit=name != "builder", map_size=MAP_SIZE)  # type: ignore[arg-type]
        return self.stack.enter_context(made)

    def do(self, action: Action) -> None:
        version, domain = self.ledger.rollup, self.genesis.domain
        nonce = self.ledger.state.nonces.get(compute_address(ALICE_KEY), 0)
        own = version.make_domain(domain.chain_id, domain.verifying_contract)
        line = sign_action(version, action, nonce, ALICE_KEY, own)
        ((_, outcome),) = self.sequencer.submit([(0, self.ledger.authenticator.authenticate_line(line))])
        assert isinstance(outcome, Sequenced)
        self.sequencer.close_block()

    def force(self, action: Action) -> None:
        version = next(each for each in v3.app.versions if type(action) in each.stf_by_action)
        self.l1.force(encode_forced_payload(version, action), sender=compute_address(ALICE_KEY))

    def announce(self, stf_id: bytes) -> int:
        return self.l1.announce_code(stf_id, caller=compute_address(OWNER_KEY))

    def build(self) -> None:
        while self.sequencer.poll() is not None:
            pass

    def settle(self) -> list[list[int]]:
        """Verify, attest and settle what is not settled; the heights of each batch."""
        blocks = [self.ledger.get_block(height) for height in range(1, self.ledger.checkpoint.height + 1)]
        kept = [block for block in blocks if block is not None]
        verify_blocks(self.verifier, kept[self.verifier.checkpoint.height :], self.l1, self.pool)
        head = self.l1.get_settled()
        heights = []
        for batch in cut_batches(kept[head.height :], may_end=make_may_end(self.l1), forced_count=head.forced_count):
            data = encode_batch(self.ledger.rollup_id, batch)
            attestations = attest(self.verifier, self.l1, VERIFIER_KEY, self.signed, lambda _, data=data: [data])
            self.l1.settle(data, batch[-1].header, attestations, submitter=BUILDER)
            heights.append([block.header.height for block in batch])
        return heights


def test_upgrades_on_l1(anvil: Anvil, tmp_path: Path) -> None:
    """The old code takes what was forced before the effect; the new one what came after; a code without a path is
    spent.
    """
    with ExitStack() as stack:
        shop = Shop(anvil, tmp_path, stack)
        shop.do(v1.Deposit(250))
        assert [[1]] == shop.settle()
        effective = shop.announce(v2.app.stf_id)
        pass_blocks(anvil, CHANGE_DELAY_BLOCKS - 10)
        shop.force(v1.Deposit(5))
        assert shop.l1.get_number() < effective
        pass_blocks(anvil, 20)
        shop.force(v2.Deposit(7))
        pass_blocks(anvil, 5)
        shop.build()
        shop.do(v2.Order(3))
        versions = {version.stf_id: version.version for version in v3.app.versions}
        headers = [shop.ledger.get_header(height) for height in range(1, shop.ledger.checkpoint.height + 1)]
        assert ["1", "1", "2", "2", "2"] == [versions[header.stf_id] for header in headers]
        assert [0, 1, 1, 2, 2] == [header.forced_count for header in headers]
        assert effective - 1 == headers[1].l1_origin < effective <= headers[2].l1_origin
        assert [[2], [3, 4, 5]] == shop.settle()
        shop.announce(v1.app.stf_id)
        pass_blocks(anvil, CHANGE_DELAY_BLOCKS + 5)
        shop.build()
        shop.do(v2.Order(4))
        assert v2.app is shop.ledger.rollup
        assert v1.app.stf_id == shop.l1.get_stf_id(shop.l1.get_number())
        assert [[6, 7]] == shop.settle()
        reader = shop.create("reader")
        derive_blocks(reader, shop.open_l1(), shop.pool)
        assert shop.ledger.checkpoint == reader.checkpoint
        old = shop.create("old", v1.app)
        with pytest.raises(OtherCode) as caught:
            derive_blocks(old, shop.open_l1(), shop.pool)
        assert (3, v2.app.stf_id, 2) == (caught.value.height, caught.value.expected, old.checkpoint.height)
