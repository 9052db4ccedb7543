"""Following a rollup: verify every new block in order, then attest what has not settled yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from microrollup.authentication_pool import CHUNK_SIZE, AuthenticationPool, Outcome
from microrollup.block import Block, compute_block_hash
from microrollup.crypto import PrivateKey
from microrollup.entry import is_forced_record
from microrollup.errors import Divergence, StoreCorrupt
from microrollup.ledger import Ledger
from microrollup.settlement.attestation import SignedAttestation, create_attestation, sign_attestation
from microrollup.settlement.batch import Batch, BatchBlock, compute_data_hash, cut_batches, decode_batch, encode_batch
from microrollup.settlement.protocol import L1View
from microrollup.verifier.signatures import SignedHeights
from microrollup.verifier.verify import verify_block

__all__ = ["attest", "authenticate_blocks", "read_own_blocks", "verify_blocks"]


def authenticate_blocks(blocks: Iterable[Block], pool: AuthenticationPool) -> Iterator[tuple[Block, list[Outcome]]]:
    """Each block with the outcomes of its signed records, whose signatures the pool checks ahead of their turn."""
    waiting: deque[tuple[Block, int]] = deque()

    def collect_chunks() -> Iterator[list[bytes]]:
        chunk: list[bytes] = []
        for block in blocks:
            signed = [record for record in block.records if not is_forced_record(record)]
            waiting.append((block, len(signed)))
            chunk += signed
            while len(chunk) >= CHUNK_SIZE:
                yield chunk[:CHUNK_SIZE]
                chunk = chunk[CHUNK_SIZE:]
        yield chunk

    ready: deque[Outcome] = deque()
    for outcomes in pool.authenticate_records(collect_chunks()):
        ready.extend(outcomes)
        while waiting and waiting[0][1] <= len(ready):
            block, count = waiting.popleft()
            yield block, [ready.popleft() for _ in range(count)]


def verify_blocks(
    ledger: Ledger,
    blocks: Iterable[Block],
    l1: L1View | None,
    pool: AuthenticationPool,
    on_block: Callable[[Block], None] = lambda block: None,
) -> None:
    """Verify and store blocks in order. Raises what `verify_block` raises, at the first block that is not right."""
    for block, outcomes in authenticate_blocks(blocks, pool):
        verify_block(ledger, block, l1, outcomes)
        on_block(block)


def read_own_blocks(ledger: Ledger, first_height: int) -> Iterator[Block]:
    """What this verifier has verified, from its own store."""
    for height in range(first_height, ledger.checkpoint.height + 1):
        block = ledger.get_block(height)
        if block is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        yield block


def attest(ledger: Ledger, l1: L1View, key: PrivateKey, signed: SignedHeights) -> list[SignedAttestation]:
    """Sign what is verified and not settled, a batch at a time.

    Each batch is encoded here and decoded again, and must give exactly the blocks that were executed. The block hashes
    are written down before a signature exists. Raises `Divergence` if L1 settled another block than this verifier has
    at that height, and `AttestationConflict`.
    """
    settled = l1.get_settled()
    if settled.height > ledger.checkpoint.height:
        return []
    own = ledger.get_block_hash(settled.height)
    if own != settled.block_hash:
        raise Divergence("settled", height=settled.height, expected=own, found=settled.block_hash)
    parent_hash, attestations = own, []
    for blocks in cut_batches(read_own_blocks(ledger, settled.height + 1)):
        batch = encode_batch(ledger.rollup_id, blocks)
        expected = Batch(ledger.rollup_id, tuple(BatchBlock(block.open, block.records, block.seal) for block in blocks))
        if decode_batch(batch) != expected:
            raise AssertionError("a batch does not decode to the blocks that it was made of")
        attestation = create_attestation(parent_hash, blocks[0].header.height, blocks[-1].header, compute_data_hash(batch))
        signed.record(
            ledger.rollup_id, [(block.header.height, compute_block_hash(block.header)) for block in blocks]
        )
        attestations.append(sign_attestation(key, attestation, ledger.genesis.l1_chain_id, l1.get_inbox()))
        parent_hash = attestation.block_hash
    return attestations
