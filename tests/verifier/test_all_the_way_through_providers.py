"""Start, build, verify, settle and derive through L1 providers as they are: each refuses something, in its own words.

`tests/settlement/test_providers.py` looks at each refusal by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from ethereum_harness import DEPLOYER, fund
from kernel_fixtures import BUILDER, BUILDER_KEY, MAP_SIZE, OWNER, VERIFIER, VERIFIER_KEY, Signer, make_key, make_steps
from l1_double import FakeTime, L1Double, Persona, draw_personas
from l1_fixtures import Anvil, run_anvil
from l1_proxy import run_proxy
from microrollup.crypto.ecdsa import compute_address
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.payload import encode_forced_payload
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.ethereum.deploy import deploy_inbox, plan_inbox
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.verifier.derive import derive_blocks
from microrollup.verifier.follow import attest, read_judgeable, verify_blocks
from microrollup.verifier.signatures import SignedHeights
from zoo import zoo

DEPTH = 3
FORCER_KEY = make_key("somebody")
PERSONAS = draw_personas(10, seed=11)


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_anvil() as anvil:
        fund(anvil, BUILDER_KEY, FORCER_KEY)
        anvil.mine(DEPTH + 1)
        yield anvil


@pytest.mark.parametrize("persona", PERSONAS, ids=range(len(PERSONAS)))
def test_all_the_way(anvil: Anvil, persona: Persona, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed and a forced action are built, verified by another party, attested, settled, and derived by a third one:
    the same blocks, each settled once. Between inclusion and block L1 goes on beyond all that is kept in memory.
    """
    FakeTime(monkeypatch)
    double = L1Double(anvil.url, persona)
    number, time = anvil.get_head()
    genesis = make_genesis(
        zoo, builder=BUILDER, verifiers=(VERIFIER,), quorum=1, l1_start=number - DEPTH, genesis_time=time - 12 * DEPTH,
        l1_chain_id=31337,
    )  # fmt: skip
    with ExitStack() as stack:
        proxy = stack.enter_context(run_proxy(anvil.url, double))
        options = EthereumOptions(
            proxy.url, poll_seconds=0, da="calldata", depth=DEPTH, settle_seconds=60, timeout_seconds=20, retries=2
        )
        deployed = deploy_inbox(options, DEPLOYER, plan_inbox(genesis, OWNER, zoo.stf_id))
        options, genesis = msgspec.structs.replace(options, inbox=deployed.inbox), deployed.genesis
        l1 = stack.enter_context(closing(EthereumSettlement.open(options, [BUILDER_KEY, FORCER_KEY])))
        pool = stack.enter_context(AuthenticationPool("zoo:zoo", genesis.domain, 0))

        def create(name: str) -> Ledger:
            made = Ledger.create(tmp_path / name, zoo, genesis, audit=name != "builder", map_size=MAP_SIZE)
            return stack.enter_context(made)

        ledger = create("builder")
        sequencer: Sequencer[int] = stack.enter_context(closing(Sequencer(ledger, BUILDER_KEY, l1)))
        sequencer.submit([(0, Signer(zoo, genesis).sign(make_steps(("count", 0, 1))))])
        sequencer.close_block()
        l1.force(encode_forced_payload(zoo, make_steps(("count", 0, 1))), sender=compute_address(FORCER_KEY))
        anvil.mine(100)
        assert sequencer.poll() is not None
        blocks = [block for height in (1, 2) if (block := ledger.get_block(height)) is not None]

        verifier, own = create("verifier"), stack.enter_context(closing(EthereumSettlement.open(options)))
        verify_blocks(verifier, read_judgeable(blocks, own), own, pool)
        batch = encode_batch(ledger.rollup_id, blocks)
        signed = stack.enter_context(SignedHeights(tmp_path / "signed"))
        attestations = attest(verifier, own, VERIFIER_KEY, signed, lambda _: [batch])
        assert 2 == l1.settle(batch, blocks[-1].header, attestations, submitter=BUILDER).height

        reader, stranger = create("reader"), stack.enter_context(closing(EthereumSettlement.open(options)))
        derive_blocks(reader, stranger, pool)
        assert blocks == [reader.get_block(height) for height in (1, 2)]
        assert 1 == reader.header.forced_count
        assert double.refusals
