"""How a node settles when others have a hand in it: whoever sends a batch, old data, other builders and verifiers."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from kernel_fixtures import MAP_SIZE, make_key
from microrollup.crypto.bls_shares import BlsKey, load_bls_key
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.errors import IntakeStopped, L1Behind, MicrorollupError, UsageError
from microrollup.ledger.ledger import Ledger
from microrollup.node.errors import NotRecorded
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node
from microrollup.node.settling import MAX_UNSETTLED_BLOCKS, AttestationRefused, Candidate, find_final_height
from microrollup.node.writer import WriterOptions
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.attestation import SignedAttestation, sign_attestation
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.verifiers import BLS, VerifierSet, sort_keys
from microrollup.store.environment import encode_number
from node_fixtures import BUILDER_KEY, VERIFIER_KEYS, Site
from waiting import wait_for

BUILDER = compute_address(BUILDER_KEY)


def build(site: Site, node: Node) -> int:
    """One action in one block; its height."""
    height = node.lookups.get_tip() + 1
    (result,) = node.submit([site.line(("count", 0, 1))]).result(60)
    assert isinstance(result, Sequenced), result
    wait_for(lambda: node.confirmations.latest == height)
    return height


def find_candidate(node: Node, first_height: int) -> Candidate:
    """The batch that the node wants to settle."""
    found: Candidate = wait_for(lambda: node._settler.get_candidate(first_height))
    return found


def sign(candidate: Candidate, key: PrivateKey | BlsKey) -> SignedAttestation:
    """A verifier's word."""
    return sign_attestation(key, candidate.attestation, 31337, bytes(20))


def settle_past(node: Node, first_height: int) -> None:
    """Settle the node's batch without telling it, as if its own call had given up waiting before L1 took it."""
    candidate = find_candidate(node, first_height)
    signed = [sign(candidate, VERIFIER_KEYS[0])]
    node.l1.settle(candidate.batch, candidate.last.header, signed, submitter=BUILDER)


def test_a_batch_settled_by_somebody_else_is_noted(tmp_path: Path) -> None:
    """Levels rise, and the ledger keeps what is settled, though the node's own call did not settle it."""
    site = Site(tmp_path)
    with site.open() as node:
        assert 1 == build(site, node)
        assert "C1" == node.confirmations.get_level(1)
        settle_past(node, 1)
        wait_for(lambda: node.confirmations.get_level(1) == "C3B")
        assert node.ledger.environment.get("settled", encode_number(1)) is not None
        assert ["C1", "C3A", "C3B"] == [each.level for each in node.announcements.read(0, 9) or ()]


def test_a_settler_that_fails_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in settling is logged, and settling is tried again."""
    monkeypatch.setattr("microrollup.node.settling.TROUBLE_SECONDS", 0.05)
    site = Site(tmp_path)
    with site.open() as node:
        honest, failures = node.l1.get_settled, [MemoryError(), ValueError("a bug")]

        def get_settled() -> Any:
            if failures:
                raise failures.pop()
            return honest()

        with capture_logs() as logs:
            monkeypatch.setattr(node.l1, "get_settled", get_settled)
            wait_for(lambda: not failures)
            build(site, node)
            candidate = find_candidate(node, 1)
        node.submit_attestation(sign(candidate, VERIFIER_KEYS[0]))
        wait_for(lambda: node.confirmations.settled == 1)
        assert 2 == len([each for each in logs if each["event"] == "settler_failed"])


def test_old_data_take_nothing(tmp_path: Path) -> None:
    """A node whose data are older than what is settled takes no actions: they could never settle. Those of the right
    data go on.
    """
    site = Site(tmp_path)
    with site.open() as node:
        build(site, node)
        settle_past(node, 1)
        wait_for(lambda: node.confirmations.settled == 1)
    shutil.copytree(tmp_path / "node", tmp_path / "old")
    with site.open() as node:
        build(site, node)
        settle_past(node, 2)
        wait_for(lambda: node.confirmations.settled == 2)
    (tmp_path / "node").rename(tmp_path / "new")
    (tmp_path / "old").rename(tmp_path / "node")
    with site.open() as node:
        wait_for(lambda: node.stopped is not None)
        assert "an old copy" in str(node.stopped)
        with pytest.raises(IntakeStopped):
            node.submit([site.line(("count", 0, 1), nonce=9)])
        assert 1 == node.confirmations.settled
    (tmp_path / "node").rename(tmp_path / "old")
    (tmp_path / "new").rename(tmp_path / "node")
    with site.open() as node:
        assert 3 == build(site, node)


def test_two_nodes_of_one_history(tmp_path: Path) -> None:
    """Where a copy of the data settles first, the other node stops at once, and settles nothing over it."""
    site = Site(tmp_path)
    with site.open() as node:
        build(site, node)
        copy = _build_elsewhere(site, node)
        wait_for(lambda: node.stopped is not None)
        assert "another block 1" in str(node.stopped)
        assert copy == node.l1.get_settled().block_hash
        assert (0, "C1") == (node.confirmations.settled, node.confirmations.get_level(1))


def _build_elsewhere(site: Site, node: Node) -> bytes:
    """Another block 1, by the same builder, attested and settled; its hash."""
    from microrollup.chain.block import compute_block_hash
    from microrollup.settlement.attestation import create_attestation
    from microrollup.settlement.batch import compute_data_hash, encode_batch

    with (
        Ledger.create(site.root / "copy", site.rollup, site.genesis, map_size=MAP_SIZE) as ledger,
    ):
        sequencer: Sequencer[int] = Sequencer(ledger, BUILDER_KEY, node.l1)
        header = sequencer.close_block(allow_empty=True)
        sequencer.close()
        block = ledger.get_block(1)
        assert header is not None
        assert block is not None
    batch = encode_batch(node.rollup_id, [block])
    attestation = create_attestation(header.parent_hash, 1, header, compute_data_hash(batch))
    signed = sign_attestation(VERIFIER_KEYS[0], attestation, 31337, bytes(20))
    node.l1.settle(batch, header, [signed], submitter=BUILDER)
    return compute_block_hash(header)


def pass_blocks(site: Site, count: int) -> None:
    """Let L1 go on."""
    site.ahead += count * SECONDS_PER_BLOCK


def test_a_former_builder_stops(tmp_path: Path) -> None:
    """From the L1 block on in which another builder is in force, the old one takes no actions, since nobody would
    accept its blocks; before that it does.
    """
    site = Site(tmp_path)
    with site.open() as node:
        node.l1.change_builder(b"\x07" * 20, caller=BUILDER)
        assert 1 == build(site, node)
        pass_blocks(site, CHANGE_DELAY_BLOCKS + 2)
        (result,) = node.submit([site.line(("count", 0, 1))]).result(60)
        assert isinstance(result, MicrorollupError)
        assert "not the rollup's builder" in str(result)
        assert "not the rollup's builder" in str(node.stopped)
        assert 1 == node.lookups.get_tip()
    with pytest.raises(UsageError, match="not the rollup's builder"), site.open():
        pass


def test_a_new_builder_leaves_the_old_ones_block(tmp_path: Path) -> None:
    """A block that the old builder left open is the old one's to close: the new one does not start on it."""
    site, heir = Site(tmp_path), make_key("the next builder")
    slow = NodeOptions(timing=WriterOptions(60, 60, 60))
    with site.open(options=slow) as node:
        node.submit([site.line(("count", 0, 1))]).result(60)
        node.l1.change_builder(compute_address(heir), caller=BUILDER)
        node._writer._sequencer.close_block = lambda **_: None  # type: ignore[method-assign,assignment]  # as if killed
    pass_blocks(site, CHANGE_DELAY_BLOCKS + 2)
    with Ledger.open(tmp_path / "node", site.rollup, map_size=MAP_SIZE) as ledger:
        l1 = LocalSettlement.open(tmp_path / "l1", site.get_time)
        assert ledger.block is not None or ledger.resume() is not None
        sequencer: Sequencer[int] = Sequencer(ledger, heir, l1)
        with pytest.raises(UsageError, match="not the rollup's builder"):
            sequencer.check_builder()
        sequencer.close()
        former: Sequencer[int] = Sequencer(ledger, BUILDER_KEY, l1)
        assert former.close_block() is not None
        former.close()
        again: Sequencer[int] = Sequencer(ledger, heir, l1)
        again.check_builder()
        again.close()
        l1.close()


def test_verifiers_change_while_a_batch_waits(tmp_path: Path) -> None:
    """The word of a verifier who is none any more does not count, and spoils nothing for the others."""
    site = Site(tmp_path, verifiers=3)
    first, second, third = VERIFIER_KEYS
    rest = VerifierSet(tuple(sorted([compute_address(second), compute_address(third)])), 2)
    with site.open() as node:
        node.l1.change_verifiers(rest, caller=BUILDER)
        pass_blocks(site, CHANGE_DELAY_BLOCKS - 10)
        build(site, node)
        candidate = find_candidate(node, 1)
        assert (1, 2) == node.submit_attestation(sign(candidate, first))
        pass_blocks(site, 20)
        with capture_logs() as logs:
            assert (1, 2) == node.submit_attestation(sign(candidate, second))
            with pytest.raises(AttestationRefused, match="not among"):
                node.submit_attestation(sign(candidate, first))
            assert (2, 2) == node.submit_attestation(sign(candidate, third))
            wait_for(lambda: node.confirmations.settled == 1)
        assert [] == [each for each in logs if each["event"] == "batch_not_settled"]


def test_to_bls_keys_and_back_under_load(tmp_path: Path) -> None:
    """Blocks go on while the verifiers change from addresses to BLS keys and back; each batch is settled by the set of
    its time, and a share that its key did not make is refused by that key's name, and spoils nothing.
    """
    site = Site(tmp_path, verifiers=3)
    keys = {key.public: key for key in [load_bls_key(bytes(31) + bytes((i,))) for i in range(1, 5)]}
    order = sort_keys(keys)
    stranger = load_bls_key(bytes(31) + b"\x63")
    with site.open() as node:
        first = node.l1.get_verifiers(node.l1.get_number())

        def settle_by(signers: list[PrivateKey | BlsKey], height: int) -> None:
            build(site, node)
            candidate = find_candidate(node, height)
            for signer in signers:
                node.submit_attestation(sign(candidate, signer))
            wait_for(lambda: node.confirmations.settled == height)

        settle_by([*VERIFIER_KEYS[:2]], 1)
        page = node.l1.register_keys(order, [keys[key].prove_possession() for key in order], sender=BUILDER)
        node.l1.change_verifiers(VerifierSet((page,), 3, BLS), caller=BUILDER)
        pass_blocks(site, CHANGE_DELAY_BLOCKS - 10)
        build(site, node)
        candidate = find_candidate(node, 2)
        assert (1, 2) == node.submit_attestation(sign(candidate, VERIFIER_KEYS[0]))
        pass_blocks(site, 20)
        with capture_logs() as logs:
            assert (1, 3) == node.submit_attestation(sign(candidate, keys[order[0]]))
            lie = msgspec.structs.replace(sign(candidate, keys[order[1]]), key=order[2])
            with pytest.raises(AttestationRefused, match=order[2].hex()):
                node.submit_attestation(lie)
            with pytest.raises(AttestationRefused, match="not among"):
                node.submit_attestation(sign(candidate, stranger))
            assert (2, 3) == node.submit_attestation(sign(candidate, keys[order[1]]))
            assert (3, 3) == node.submit_attestation(sign(candidate, keys[order[3]]))
            wait_for(lambda: node.confirmations.settled == 2)
        assert [] == [each for each in logs if each["event"] == "batch_not_settled"]
        settle_by([keys[key] for key in order], 3)
        node.l1.change_verifiers(first, caller=BUILDER)
        pass_blocks(site, CHANGE_DELAY_BLOCKS + 1)
        settle_by([*VERIFIER_KEYS[1:]], 4)


def test_another_kind_of_data_is_named(tmp_path: Path) -> None:
    """Who attests the same blocks in other data is told which member differs, and where to look."""
    from msgspec.structs import replace

    site = Site(tmp_path)
    with site.open() as node:
        build(site, node)
        candidate = find_candidate(node, 1)
        other = replace(candidate, attestation=replace(candidate.attestation, data_hash=bytes(32)))
        with pytest.raises(AttestationRefused, match="data_hash differs; is --da the same"):
            node.submit_attestation(sign(other, VERIFIER_KEYS[0]))
        other = replace(candidate, attestation=replace(candidate.attestation, block_hash=bytes(32)))
        with pytest.raises(AttestationRefused, match="block_hash differs"):
            node.submit_attestation(sign(other, VERIFIER_KEYS[0]))
        assert (1, 1) == node.submit_attestation(sign(candidate, VERIFIER_KEYS[0]))


def test_what_does_not_settle_stops_intake(tmp_path: Path) -> None:
    """A day without settling, and no more is taken; what has been taken still settles, and a restart goes on."""
    site = Site(tmp_path)
    with site.open() as node:
        build(site, node)
        pass_blocks(site, MAX_UNSETTLED_BLOCKS - 10)
        find_candidate(node, 1)
        time.sleep(1.2)
        assert 2 == build(site, node)
        pass_blocks(site, 20)
        wait_for(lambda: node.stopped is not None)
        assert "block 1 has not settled" in str(node.stopped)
        with pytest.raises(IntakeStopped):
            node.submit([site.line(("count", 0, 1), nonce=9)])
        for first_height in (1, 2):
            if node.confirmations.settled < first_height:
                settle_past(node, first_height)
                wait_for(lambda: node.confirmations.settled >= first_height)  # noqa: B023
    with site.open() as node:
        assert 3 == build(site, node)


def test_an_l1_that_lags_is_not_built_on(tmp_path: Path) -> None:
    """A view of L1 that ends below what the newest block is bound to proves nothing: the node does not start."""
    site = Site(tmp_path)
    with site.open() as node:
        build(site, node)
        origin = node.ledger.header.l1_origin
    with Ledger.open(tmp_path / "node", site.rollup, map_size=MAP_SIZE) as ledger:
        l1 = LocalSettlement.open(tmp_path / "l1", site.get_time)
        l1.get_number = lambda: origin  # type: ignore[method-assign]
        node = Node(site.reference, ledger, l1, BUILDER_KEY)
        with pytest.raises(L1Behind):
            node.start()
        node.stop()
        l1.close()


class Depths:
    """A view of L1 whose head moves on at some questions; batches of one block each settled in ascending blocks."""

    def __init__(self, head: int, depth: int, settled_in: list[int], moves: int = 0) -> None:
        self.head, self.depth, self.settled_in, self.moves = head, depth, settled_in, moves

    def get_number(self) -> int:
        return self.head + 1

    def get_origin(self) -> int:
        if self.moves:
            self.moves -= 1
            self.head += 1
        return max(0, self.head - self.depth)

    def get_confirmations(self, height: int) -> int | None:
        if height > len(self.settled_in):
            return None
        return self.head + 1 - self.settled_in[height - 1]


@pytest.mark.parametrize("depth", [1, 2, 12])
def test_final_is_what_no_expected_reorg_takes_back(depth: int) -> None:
    """A reorg of all the blocks that the view waits for leaves final batches alone, and takes the next one."""
    settled_in = list(range(50, 101))
    l1: Any = Depths(100, depth, settled_in)
    final = find_final_height(l1, 0, len(settled_in))
    replaced = range(100 - depth + 1, 101)
    assert settled_in[final - 1] not in replaced
    assert settled_in[final] in replaced


def test_final_heights_at_the_edges() -> None:
    """Nothing settled; nothing deep enough; a batch that a reorg took meanwhile; no reorgs expected at all."""
    settled: Any = Depths(100, 12, [])
    assert 0 == find_final_height(settled, 0, 0)
    assert 0 == find_final_height(settled, 0, 7)
    assert 0 == find_final_height(Depths(100, 12, [90, 95]), 0, 2)  # type: ignore[arg-type]
    assert 2 == find_final_height(Depths(100, 0, [90, 100]), 0, 2)  # type: ignore[arg-type]
    assert 5 == find_final_height(Depths(100, 12, [100]), 5, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("moves", [1, 3])
def test_a_head_that_moves_on_meanwhile_makes_nothing_final_early(moves: int) -> None:
    """Depths of two moments are not mixed: the answer is that of the head at the end."""
    settled_in = list(range(50, 101))
    l1: Any = Depths(100, 12, settled_in, moves)
    found = find_final_height(l1, 0, len(settled_in))
    l1.moves = 0
    assert find_final_height(l1, 0, len(settled_in)) == found


def test_a_batch_that_is_asked_for_asks_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch to attest and the last one are given to anybody; no client makes the node fetch older ones from L1."""
    site = Site(tmp_path)
    with site.open() as node:
        monkeypatch.setattr(node.l1, "get_settled_at", lambda _: pytest.fail("L1 was asked"))
        build(site, node)
        candidate = find_candidate(node, 1)
        assert (candidate.batch, 1) == node.get_batch(1)
        node.submit_attestation(sign(candidate, VERIFIER_KEYS[0]))
        wait_for(lambda: node.confirmations.settled == 1)
        assert (candidate.batch, 1) == node.get_batch(1)
    with site.open() as node, pytest.raises(NotRecorded):
        monkeypatch.setattr(node.l1, "get_settled_at", lambda _: pytest.fail("L1 was asked"))
        node.get_batch(1)
