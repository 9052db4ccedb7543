"""Following a rollup: verify every new block in order, then attest what has not settled yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from microrollup.chain.block import Block, compute_block_hash
from microrollup.chain.envelope_record import is_envelope_record
from microrollup.chain.upgrade_entry import is_upgrade_record
from microrollup.crypto.bls_shares import BlsKey
from microrollup.crypto.ecdsa import SigningKey
from microrollup.errors import Divergence, LimitExceeded, MicrorollupError, StoreCorrupt
from microrollup.execution.authentication import Authentication
from microrollup.execution.authentication_pool import CHUNK_SIZE, AuthenticationPool, RecordChunk, sum_opening
from microrollup.execution.entry import is_signed_record
from microrollup.ledger.ledger import Ledger
from microrollup.limits import BLOCK_SECONDS, VERIFIER_FACTOR
from microrollup.settlement.attestation import SignedAttestation, create_attestation, sign_attestation
from microrollup.settlement.batch import Batch, BatchBlock, decode_batch
from microrollup.settlement.protocol import L1View, SettledHead
from microrollup.store.tables import get_log_start
from microrollup.verifier.l1_rules import NotJudgedYet, require_judgeable, verify_block_on_l1
from microrollup.verifier.signatures import SharedHeights, SignedHeights
from microrollup.verifier.verify import verify_block

__all__ = ["Authenticate", "attest", "authenticate_blocks", "read_judgeable", "verify_blocks", "verify_settled"]

_ENVELOPES_AT_ONCE: Final = 25
"""Envelopes of a chunk, or records beside one: what a process goes on with while its block takes too long already."""

_BLOCKS_AT_ONCE: Final = 64
"""Blocks with few actions are not read ahead without end."""


B = TypeVar("B", Block, BatchBlock)

Authenticate: TypeAlias = Callable[
    [Iterable[Block], AuthenticationPool, float], Iterator[tuple[Block, list[Authentication]]]
]
"""Blocks, a pool and a limit of seconds to each block with the outcomes of its signed records."""


def authenticate_blocks(
    blocks: Iterable[B], pool: AuthenticationPool, limit_seconds: float = BLOCK_SECONDS * VERIFIER_FACTOR
) -> Iterator[tuple[B, list[Authentication]]]:
    """Each block with the outcomes of its signed records, whose signatures the pool checks ahead of their turn.

    Where `blocks` cannot be read on, the error is raised after the last block that could. Raises `LimitExceeded` at a
    block as soon as opening its envelopes took longer than executing it may, in seconds of CPU.
    """
    waiting: deque[tuple[B, int]] = deque()
    failures: list[MicrorollupError] = []

    def collect_chunks() -> Iterator[list[bytes]]:
        chunk = RecordChunk((), 0)
        unsent = 0
        try:
            for block in blocks:
                version = pool.find_version(block.open.stf_id)
                if version != chunk.version:
                    yield chunk
                    chunk, unsent = RecordChunk((), version), 0
                signed = [record for record in block.records if is_signed_record(record)]
                waiting.append((block, len(signed)))
                chunk += signed
                unsent += 1
                while len(chunk) >= (size := _find_size(chunk)) or unsent >= _BLOCKS_AT_ONCE:
                    yield RecordChunk(chunk[:size], version)
                    chunk, unsent = RecordChunk(chunk[size:], version), 0
        except MicrorollupError as error:
            failures.append(error)
        yield chunk

    ready: deque[Authentication] = deque()
    for outcomes in pool.authenticate_records(collect_chunks()):
        ready.extend(outcomes)
        while waiting and waiting[0][1] <= len(ready):
            block, count = waiting.popleft()
            found = [ready.popleft() for _ in range(count)]
            _require_time(block, found, limit_seconds)
            yield block, found
        if waiting:
            _require_time(waiting[0][0], ready, limit_seconds)
    if failures:
        raise failures[0]


def _find_size(chunk: Sequence[bytes]) -> int:
    """How many of these records travel together."""
    return _ENVELOPES_AT_ONCE if any(map(is_envelope_record, chunk[:CHUNK_SIZE])) else CHUNK_SIZE


def _require_time(block: Block | BatchBlock, outcomes: Iterable[Authentication], limit_seconds: float) -> None:
    """Raise `LimitExceeded` if opening what is open of a block's envelopes took too long."""
    if sum_opening(outcomes) > limit_seconds:
        raise LimitExceeded(f"opening the envelopes of block {block.open.height} takes longer than {limit_seconds:g} s")


def read_judgeable(blocks: Iterable[Block], l1: L1View | None) -> Iterator[Block]:
    """The blocks that are bound to what this view of L1 expects to stay. Raises `NotJudgedYet` at the first other."""
    for block in blocks:
        if l1 is not None:
            require_judgeable(block, l1)
        yield block


def verify_blocks(
    ledger: Ledger,
    blocks: Iterable[Block],
    l1: L1View | None,
    pool: AuthenticationPool,
    on_block: Callable[[Block], None] = lambda _: None,
    *,
    limit_seconds: float = BLOCK_SECONDS * VERIFIER_FACTOR,
    authenticate: Authenticate | None = None,
) -> None:
    """Verify and store blocks in order. Raises what `verify_block` raises, at the first block that is not right.

    `limit_seconds` is what opening and executing one block may take. `authenticate` is in place of
    `authenticate_blocks`.

    What L1 has settled by then must be one of these blocks, or beyond them: else `Divergence`. Blocks at heights that
    are settled are held to what the inbox took. `NotJudgedYet` by `blocks` is raised last.
    """
    waiting: NotJudgedYet | None = None
    try:
        for block, outcomes in (authenticate or authenticate_blocks)(blocks, pool, limit_seconds):
            settled = l1 is not None and block.open.height <= l1.get_settled().height
            verify_block(ledger, block, l1, outcomes, settled=settled, limit_seconds=limit_seconds)
            on_block(block)
    except NotJudgedYet as error:
        waiting = error
    if l1 is not None:
        verify_settled(ledger, l1.get_settled())
    if waiting is not None:
        raise waiting


def verify_settled(ledger: Ledger, settled: SettledHead) -> None:
    """Raise `Divergence` if L1 settled another block than the ledger has at its height."""
    start = get_log_start(ledger.environment.reader, ledger.environment.tables)
    if settled.height > ledger.checkpoint.height or (start is not None and settled.height < start.height):
        return
    ours = ledger.get_block_hash(settled.height)
    if ours != settled.block_hash:
        raise Divergence("settled", height=settled.height, expected=ours, found=settled.block_hash)


def attest(
    ledger: Ledger,
    l1: L1View,
    key: SigningKey | BlsKey,
    signed: SignedHeights | SharedHeights,
    read_batches: Callable[[int], Iterable[bytes]],
    given: Sequence[SignedAttestation] = (),
) -> list[SignedAttestation]:
    """Sign what is verified and not settled, a batch at a time.

    `read_batches` gives the builder's own bytes from a height on. Each batch is decoded and must hold exactly the
    blocks that were executed here. L1 may have changed since: each block is held to L1's rules once more. The block
    hashes are written down before a signature exists. What is among `given` is not signed again. Raises `Divergence` if
    L1 settled another block than this verifier has, if a batch holds other blocks, or if one is not right any more; and
    `AttestationConflict`.
    """
    settled = l1.get_settled()
    if settled.height > ledger.checkpoint.height:
        return []
    verify_settled(ledger, settled)
    parent_hash, height = settled.block_hash, settled.height
    attestations: list[SignedAttestation] = []
    held = {each.attestation: each for each in given}
    for batch in read_batches(height + 1):
        blocks = _match_blocks(ledger, decode_batch(batch), height + 1)
        if not blocks or blocks[-1].open.l1_origin > l1.get_origin():
            break
        for place, block in enumerate(blocks):
            if place and any(map(is_upgrade_record, block.records)):
                expected = "a batch of its own for each upgrade, as the first block"
                raise Divergence("batch", height=block.header.height, expected=expected, found="a later block of one")
            verify_block_on_l1(block, l1)
        data_hash = l1.compute_data_hash(batch)
        attestation = create_attestation(parent_hash, height + 1, blocks[-1].header, data_hash)
        signed.record(ledger.rollup_id, [(block.header.height, compute_block_hash(block.header)) for block in blocks])
        signed_before = held.get(attestation)
        attestations.append(
            signed_before or sign_attestation(key, attestation, ledger.genesis.l1_chain_id, l1.get_inbox())
        )
        parent_hash, height = attestation.block_hash, blocks[-1].header.height
    return attestations


def _match_blocks(ledger: Ledger, batch: Batch, first_height: int) -> list[Block]:
    """The verified blocks that a batch holds; none if it goes beyond them. Raises `Divergence` if it holds others."""
    if first_height + len(batch.blocks) - 1 > ledger.checkpoint.height:
        return []
    if batch.rollup_id != ledger.rollup_id:
        raise Divergence("batch", height=first_height, expected=ledger.rollup_id, found=batch.rollup_id)
    blocks: list[Block] = []
    for height, found in enumerate(batch.blocks, first_height):
        block = ledger.get_block(height)
        if block is None:
            raise StoreCorrupt(f"blocks/{height}", "missing")
        expected = BatchBlock(block.open, block.records, block.seal)
        if found != expected:
            raise Divergence("batch", height=height, expected="the block that was executed", found="another one")
        blocks.append(block)
    return blocks
