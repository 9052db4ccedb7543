"""Following: blocks in order with a bounded read-ahead, and attestations of exactly what was executed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from kernel_fixtures import BUILDER, VERIFIER, VERIFIER_KEY, Chain, fast_directory, make_key
from microrollup.chain.block import Block, compute_block_hash
from microrollup.crypto.bls_shares import load_bls_key
from microrollup.errors import AttestationConflict, DecodeError, Divergence, MicrorollupError
from microrollup.execution.authentication_pool import CHUNK_SIZE, AuthenticationPool
from microrollup.execution.entry import is_forced_record
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.attestation import attestation_from_json, attestation_to_json, recover_attester
from microrollup.settlement.batch import compute_data_hash, cut_batches, encode_batch
from microrollup.settlement.protocol import SettledHead
from microrollup.verifier.follow import attest, authenticate_blocks, read_judgeable, verify_blocks
from microrollup.verifier.l1_rules import NotJudgedYet
from microrollup.verifier.signatures import SignedHeights


class Followed:
    """A chain of seven blocks, a verifier that has six of them, and its table of signed heights."""

    def __init__(self, root: Path) -> None:
        self.chain = Chain(root)
        self.chain.work(Random(1), 7)
        self.blocks = self.chain.get_blocks()
        self.ledger = self.chain.make_verifier()
        self.chain.verify(self.ledger, self.blocks[:6])
        self.signed = SignedHeights(root / "signed")

    def encode(self, *blocks: Block) -> bytes:
        return encode_batch(self.ledger.rollup_id, blocks)

    def attest(self, *batches: bytes, key: str | None = None) -> list[Any]:
        signer = VERIFIER_KEY if key is None else make_key(key)
        return attest(self.ledger, self.chain.l1, signer, self.signed, lambda first: batches)


@pytest.fixture
def followed() -> Iterator[Followed]:
    with fast_directory() as directory:
        made = Followed(directory)
        yield made
        made.signed.close()
        made.ledger.abandon()
        made.chain.close()


@pytest.fixture
def pool(followed: Followed) -> Iterator[AuthenticationPool]:
    with AuthenticationPool("zoo:zoo", followed.chain.genesis.domain, 0) as made:
        yield made


# --- reading ahead ---------------------------------------------------------------------------------------------------


def test_blocks_with_their_outcomes(followed: Followed, pool: AuthenticationPool) -> None:
    """Blocks come in order, each with one outcome for each signed record, however they are cut into chunks."""
    large = msgspec.structs.replace(followed.blocks[0], records=followed.blocks[0].records * CHUNK_SIZE)
    empty = msgspec.structs.replace(followed.blocks[0], records=())
    given = [empty, *followed.blocks, large, empty, empty, large]
    found = list(authenticate_blocks(given, pool))
    assert given == [block for block, _ in found]
    for block, outcomes in found:
        signed = [record for record in block.records if not is_forced_record(record)]
        assert signed == [getattr(outcome, "record", None) for outcome in outcomes]


def test_reading_ahead_is_bounded(followed: Followed, pool: AuthenticationPool) -> None:
    """Of endlessly many blocks, empty ones too, only some are read before the first is handed on."""
    for block in (msgspec.structs.replace(followed.blocks[0], records=()), followed.blocks[0]):
        read = 0

        def endless(block: Block = block) -> Iterator[Block]:
            nonlocal read
            while True:
                read += 1
                assert read < 2_000
                yield block

        found = authenticate_blocks(endless(), pool)
        for _ in range(100):
            assert block == next(found)[0]
        assert read < 100 + 300


def test_an_unreadable_block_comes_last(followed: Followed, pool: AuthenticationPool) -> None:
    """Blocks in front of one that cannot be read are verified first, and a divergence among them counts."""

    def cut(blocks: list[Block]) -> Iterator[Block]:
        yield from blocks
        raise DecodeError("block", "cut off")

    ledger = followed.chain.make_verifier("cut")
    with pytest.raises(DecodeError):
        verify_blocks(ledger, cut(followed.blocks[:4]), followed.chain.l1, pool)
    assert 4 == ledger.checkpoint.height
    lie = msgspec.structs.replace(followed.blocks[4], header=followed.blocks[5].header)
    with pytest.raises(Divergence):
        verify_blocks(ledger, cut([lie]), followed.chain.l1, pool)
    ledger.abandon()


def test_stops_at_the_first_wrong_block(followed: Followed, pool: AuthenticationPool) -> None:
    """Blocks in front of a wrong one are kept and told, those behind it are not looked at."""
    told: list[int] = []
    ledger = followed.chain.make_verifier("stops")
    blocks = [*followed.blocks[:3], followed.blocks[4], followed.blocks[3]]
    with pytest.raises(Divergence) as caught:
        verify_blocks(ledger, blocks, followed.chain.l1, pool, lambda block: told.append(block.header.height))
    assert ("height", 4) == (caught.value.field, caught.value.height)
    assert [1, 2, 3] == told
    ledger.abandon()
    ledger = Ledger.open(followed.chain.root / "stops", followed.chain.rollup, map_size=followed.chain.map_size)
    verify_blocks(ledger, followed.blocks[3:], followed.chain.l1, pool)
    assert followed.chain.ledger.header == ledger.header
    ledger.abandon()


class Lagging:
    """A view of L1 that ends before a number; what it has is the truth."""

    def __init__(self, l1: Any, number: int) -> None:
        self._l1, self.number = l1, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._l1, name)

    def get_number(self) -> int:
        return self.number

    def get_origin(self) -> int:
        return self.number - 1


def test_a_view_of_l1_that_lags(followed: Followed, pool: AuthenticationPool) -> None:
    """A block that is bound to an L1 block which this view does not have yet is not judged: those in front of it are
    kept, and it is verified once the view has come so far. One L1 block less, and it would not be.
    """
    origin = followed.blocks[3].header.l1_origin
    assert followed.blocks[2].header.l1_origin < origin
    l1 = Lagging(followed.chain.l1, origin)
    ledger = followed.chain.make_verifier("lags")
    with pytest.raises(NotJudgedYet) as caught:
        verify_blocks(ledger, read_judgeable(followed.blocks, l1), l1, pool)
    assert (4, origin, origin - 1) == (caught.value.height, caught.value.l1_origin, caught.value.newest)
    assert 3 == ledger.checkpoint.height
    l1.number = origin + 1
    verify_blocks(ledger, read_judgeable(followed.blocks[3:4], l1), l1, pool)
    assert 4 == ledger.checkpoint.height
    ledger.abandon()


# --- attesting -------------------------------------------------------------------------------------------------------


def test_attests_batch_by_batch(followed: Followed) -> None:
    """Each batch gets an attestation that names parent, heights, last block, root and the very bytes; all is noted."""
    batches = [followed.encode(*followed.blocks[:2]), followed.encode(*followed.blocks[2:6])]
    found = followed.attest(*batches)
    genesis_hash = followed.ledger.get_block_hash(0)
    for signed, batch, first, last, parent in zip(
        found, batches, (1, 3), (2, 6), (genesis_hash, compute_block_hash(followed.blocks[1].header)), strict=True
    ):
        header = followed.blocks[last - 1].header
        attestation = signed.attestation
        assert (first, last, parent) == (attestation.first_height, attestation.last_height, attestation.parent_hash)
        assert (compute_block_hash(header), header.state_root) == (attestation.block_hash, attestation.state_root)
        assert (compute_data_hash(batch), followed.ledger.rollup_id) == (attestation.data_hash, attestation.rollup_id)
        inbox = followed.chain.l1.get_inbox()
        assert VERIFIER == recover_attester(signed, followed.chain.genesis.l1_chain_id, inbox)
    for block in followed.blocks[:6]:
        assert compute_block_hash(block.header) == followed.signed.get(followed.ledger.rollup_id, block.header.height)
    assert followed.signed.get(followed.ledger.rollup_id, 7) is None


def test_settles_and_goes_on(followed: Followed) -> None:
    """What was attested settles; the next time only what is above it is attested; settled heights are known to all."""
    first = followed.encode(*followed.blocks[:4])
    (attestation,) = followed.attest(first)
    followed.chain.l1.settle(first, followed.blocks[3].header, [attestation], submitter=BUILDER)
    asked: list[int] = []
    rest = followed.encode(*followed.blocks[4:6])

    def read(height: int) -> list[bytes]:
        asked.append(height)
        return [rest]

    (second,) = attest(followed.ledger, followed.chain.l1, VERIFIER_KEY, followed.signed, read)
    assert ([5], 5, 6) == (asked, second.attestation.first_height, second.attestation.last_height)
    followed.chain.l1.settle(rest, followed.blocks[5].header, [second], submitter=BUILDER)
    assert [] == followed.attest()


def test_nothing_beyond_what_is_verified(followed: Followed) -> None:
    """A batch that reaches above the verified height is not attested, nor anything behind it."""
    batches = [followed.encode(*followed.blocks[:2]), followed.encode(*followed.blocks[2:7])]
    assert 1 == len(followed.attest(*batches, followed.encode(*followed.blocks[5:6])))
    assert followed.signed.get(followed.ledger.rollup_id, 3) is None


def test_a_batch_of_other_blocks(followed: Followed) -> None:
    """A batch whose blocks differ in anything from those that were executed is not attested, nor noted."""
    block = followed.blocks[0]
    others = {
        "records": (*block.records, block.records[0]),
        "open": msgspec.structs.replace(block.open, timestamp=block.open.timestamp + 1),
        "seal": msgspec.structs.replace(block.seal, signature=bytes(65)),
    }
    for name, value in others.items():
        batch = followed.encode(msgspec.structs.replace(block, **{name: value}))
        with pytest.raises(Divergence) as caught:
            followed.attest(batch)
        assert ("batch", 1) == (caught.value.field, caught.value.height)
    with pytest.raises(Divergence):
        followed.attest(followed.encode(*followed.blocks[1:3]))
    foreign = [msgspec.structs.replace(block, header=msgspec.structs.replace(block.header, rollup_id=bytes(32)))]
    with pytest.raises(Divergence):
        followed.attest(encode_batch(bytes(32), foreign))
    for garbage in (b"", b"garbage", followed.encode(block)[:-1]):
        with pytest.raises(DecodeError):
            followed.attest(garbage)
    assert followed.signed.get(followed.ledger.rollup_id, 1) is None


def test_no_signature_without_a_note(followed: Followed) -> None:
    """If the table holds another hash for any height of a batch, nothing of the batch is signed or noted."""
    followed.signed.record(followed.ledger.rollup_id, [(2, bytes(32))])
    with pytest.raises(AttestationConflict):
        followed.attest(followed.encode(*followed.blocks[:3]))
    assert followed.signed.get(followed.ledger.rollup_id, 1) is None


def test_a_bls_key_attests_once_for_a_height(followed: Followed) -> None:
    """A BLS key signs what is verified, as any key; and nothing that its table knows another block for."""
    key = load_bls_key(b"\1" * 32)
    batch = followed.encode(*followed.blocks[:3])
    (signed,) = attest(followed.ledger, followed.chain.l1, key, followed.signed, lambda first: [batch])
    inbox = followed.chain.l1.get_inbox()
    assert key.public == recover_attester(signed, followed.chain.genesis.l1_chain_id, inbox)
    assert signed == attestation_from_json(attestation_to_json(signed))
    assert compute_block_hash(followed.blocks[2].header) == followed.signed.get(followed.ledger.rollup_id, 3)
    followed.signed.record(followed.ledger.rollup_id, [(4, bytes(32))])
    batch = followed.encode(*followed.blocks[:4])
    with pytest.raises(AttestationConflict):
        attest(followed.ledger, followed.chain.l1, key, followed.signed, lambda first: [batch])


def test_l1_settled_something_else(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """If L1 settled another block than the verifier has, it says so; if L1 is ahead of it, it signs nothing yet."""
    settled = followed.chain.l1.get_settled()
    other = msgspec.structs.replace(settled, height=3, block_hash=bytes(32))
    ahead = msgspec.structs.replace(settled, height=9)

    def answer(head: SettledHead) -> None:
        monkeypatch.setattr(followed.chain.l1, "get_settled", lambda: head)

    answer(other)
    with pytest.raises(Divergence) as caught:
        followed.attest(followed.encode(*followed.blocks[3:5]))
    assert ("settled", 3) == (caught.value.field, caught.value.height)
    with pytest.raises(Divergence) as caught:  # nor is it verified, by somebody who attests nothing
        followed.chain.verify(followed.ledger, [])
    assert ("settled", 3) == (caught.value.field, caught.value.height)
    answer(ahead)
    followed.chain.verify(followed.ledger, [])
    assert [] == followed.attest(followed.encode(*followed.blocks[:2]))


def test_batches_of_a_source(followed: Followed) -> None:
    """A store's batches decode to its blocks and are the same each time."""
    one, other = (
        [encode_batch(followed.ledger.rollup_id, blocks) for blocks in cut_batches(followed.blocks)] for _ in range(2)
    )
    assert one == other
    assert issubclass(AttestationConflict, MicrorollupError)
