"""The keystore on the kernel: what two wallet libraries signed gives the published roots, whatever the blocks."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from apps.keystore import app
from apps.keystore.accounts import Account, encode_account_leaf
from kernel_fixtures import Chain, fast_directory
from microrollup.chain.receipt import EXECUTED, REJECTED
from microrollup.crypto.lthash import compute_metadata_root
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.ledger.reading import prove_state
from microrollup.sequencer.sequencer import Sequenced
from paths import KEYSTORE_DATA

DATA = KEYSTORE_DATA
EXPECTED = json.loads((DATA / "wallet-actions.expected.json").read_bytes())
FIELD = app.state_type.get_field("accounts")
RESULTS: set[tuple[bytes, bytes]] = set()


@pytest.fixture(scope="module")
def actions() -> list[Authenticated]:
    authenticator = Authenticator(app.action_types, app.make_domain())
    return [authenticator.authenticate_line(line) for line in (DATA / "wallet-actions.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize("block_size", [pytest.param(1, marks=pytest.mark.slow), 7, 100, 5_000])
def test_roots(actions: list[Authenticated], block_size: int) -> None:
    """The roots after 100, 500, 1,000 and 2,000 lines are those of the published file, for any size of blocks."""
    with fast_directory() as directory:
        chain = Chain(directory, app, block_size=block_size)
        statuses: list[int] = []
        for first, last in pairwise((0, 100, 500, 1_000, 2_000)):
            outcomes = chain.submit(*actions[first:last])
            assert last - first == len(outcomes)
            statuses += [outcome.receipt.status for outcome in outcomes if isinstance(outcome, Sequenced)]
            header = chain.ledger.header if chain.ledger.block is None else chain.ledger.compute_header().header
            assert EXPECTED["stateRootAfter"][str(last)] == f"0x{header.state_root.hex()}"
        chain.sequencer.close_block()
        assert -(-2_000 // block_size) == chain.ledger.header.height
        assert EXPECTED["rejectedLines"] == [line for line, status in enumerate(statuses) if status == REJECTED]
        assert EXPECTED["executed"] == statuses.count(EXECUTED)
        assert EXPECTED["accounts"] == len(chain.ledger.state.app.accounts)  # type: ignore[attr-defined]
        assert EXPECTED["senders"] == len(chain.ledger.state.nonces)
        assert EXPECTED["stateRoot"] == f"0x{chain.ledger.header.state_root.hex()}"
        assert compute_metadata_root(chain.ledger.checkpoint.lanes) == chain.ledger.header.metadata_root
        RESULTS.add((chain.ledger.header.state_root, chain.ledger.header.metadata_root))
        assert 1 == len(RESULTS)
        verifier = chain.make_verifier()
        chain.verify(verifier)
        assert chain.ledger.header == verifier.header
        verifier.abandon()
        chain.close()


def test_sample_proofs(actions: list[Authenticated]) -> None:
    """The published accounts and absent keys are proven, at the tip and at the height at which they came to be."""
    with fast_directory() as directory:
        chain = Chain(directory, app, block_size=200)
        chain.submit(*actions)
        chain.sequencer.close_block()
        environment, tree = chain.ledger.environment, chain.ledger.tree
        for sample in EXPECTED["sampleAccounts"]:
            key = bytes.fromhex(sample["key"][2:])
            account = Account(bytes.fromhex(sample["data"][2:]), bytes.fromhex(sample["vk"][2:]))
            proof = prove_state(environment, tree, FIELD, key)
            assert (True, account, encode_account_leaf(account)) == (proof.exists, proof.stored, proof.value)
            assert sample["treeKey"] == f"0x{proof.tree_key.hex()}"
            assert not prove_state(environment, tree, FIELD, key, 0).exists
            first = next(h for h in range(11) if prove_state(environment, tree, FIELD, key, h).exists)
            assert all(prove_state(environment, tree, FIELD, key, h).exists for h in range(first, 11))
        for sample in EXPECTED["sampleAbsentKeys"]:
            for height in range(11):
                proof = prove_state(environment, tree, FIELD, bytes.fromhex(sample["key"][2:]), height)
                assert (False, None, b"") == (proof.exists, proof.stored, proof.value)
            assert sample["lowLeaf"]["leafIndex"] == proof.proof.leaf_index
        chain.close()
