"""Evidence gathered from block sources, and its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

from microrollup.chain.acknowledgement import SignedAcknowledgement, acknowledgement_from_json
from microrollup.chain.block import Block
from microrollup.chain.receipt_proof import InboxDomain
from microrollup.codec.json_text import parse_json
from microrollup.crypto.merkle.items import prove_item
from microrollup.errors import DecodeError, RefusedError, SourceUnavailable
from microrollup.settlement.evidence import (
    MAX_EVIDENCE_BYTES,
    MAX_HEADERS,
    Challenge,
    Evidence,
    KnownFacts,
    SealedHeader,
    Seals,
    SettledEntry,
    decode_evidence,
    encode_evidence,
    find_equivocation,
)
from microrollup.settlement.place import L1Place, open_l1
from microrollup.system import write_whole
from microrollup.verifier.http_source import HttpSource
from microrollup.verifier.source import BlockSource, StoreSource, open_source

__all__ = ["compare_sources", "make_challenge", "read_acknowledgement", "read_evidence", "write_evidence"]

_MAX_ACK_BYTES: Final = 1 << 20
_BLOCKS_AT_ONCE: Final = 1_000


def read_evidence(path: Path) -> Evidence:
    """The evidence in a file; nothing is judged. Raises `DecodeError`, `OSError`."""
    with path.open("rb") as file:
        return decode_evidence(file.read(MAX_EVIDENCE_BYTES + 1))


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write a file of evidence. Raises `OSError`."""
    with write_whole(path) as file:
        file.write(encode_evidence(evidence))


def read_acknowledgement(path: Path) -> SignedAcknowledgement:
    """The acknowledgement in a file: a node's answer, bare or as JSON-RPC has it, or what `submit --json` shows.

    Raises `DecodeError`.
    """
    with path.open("rb") as file:
        raw = file.read(_MAX_ACK_BYTES + 1)
    if len(raw) > _MAX_ACK_BYTES:
        raise DecodeError(str(path), f"longer than {_MAX_ACK_BYTES} bytes, which no acknowledgement is")
    try:
        document: Any = parse_json(raw)
    except RefusedError as error:
        raise DecodeError(str(path), error.detail) from None
    if isinstance(document, dict) and "jsonrpc" in document:
        document = document.get("result")
    elif isinstance(document, dict) and "ack" in document:
        document = document["ack"]
    return acknowledgement_from_json(document)


def make_challenge(signed: SignedAcknowledgement, url: str, l1: L1Place) -> tuple[Challenge, KnownFacts]:
    """What L1's settled history, as the node at `url` gives it, holds in place of an acknowledged action; and what L1
    says, against which the challenge is to be judged.

    Raises `SourceUnavailable` if the node does not give what is needed, `DecodeError` for what it gives instead.
    """
    with closing(open_l1(l1)) as view:
        settled, genesis = view.get_settled(), view.get_genesis()
        domain = InboxDomain(genesis.l1_chain_id, view.get_inbox())
    source = HttpSource(url)
    known = KnownFacts(signed.acknowledgement.rollup_id, domain, None, settled.block_hash)
    blocks = _read_from(source, signed.seq, min(signed.height, settled.height), settled.height)
    first = blocks[0]
    index = signed.seq - first.header.first_seq
    found = None
    if 0 <= index < first.header.action_count:
        proof = source.read_receipt_proof(signed.seq)
        found = SettledEntry(
            first.seal, first.records[index], prove_item(first.records, index), proof.receipt, proof.path
        )
    return Challenge(1, domain, signed, tuple(block.header for block in blocks), found), known


def _read_from(source: HttpSource, seq: int, height: int, settled: int) -> list[Block]:
    """The blocks from the one that holds `seq` to the settled one; that one alone if it ends before.

    The search begins at `height`: where the block was built again, the action may be in another one.
    """
    block = _read_block(source, max(1, height))
    while block.header.first_seq > seq and block.header.height > 1:
        block = _read_block(source, block.header.height - 1)
    blocks: list[Block] = []
    for each in islice(source.read_blocks(block.header.height), settled - block.header.height + 1):
        if each.header.first_seq + each.header.action_count <= seq and each.header.height < settled:
            continue
        blocks.append(each)
        if len(blocks) > MAX_HEADERS:
            raise SourceUnavailable(f"more than {MAX_HEADERS} blocks lie between the action and the settled head")
    if not blocks or blocks[-1].header.height != settled:
        raise SourceUnavailable(f"the node does not give the settled block {settled}")
    return blocks


def _read_block(source: HttpSource, height: int) -> Block:
    block = next(iter(source.read_blocks(height)), None)
    if block is None or block.header.height != height:
        raise SourceUnavailable(f"the node does not give block {height}")
    return block


def compare_sources(first: str, second: str) -> Seals | None:
    """The first two blocks of two sources (files, stores, nodes' addresses) that one key sealed for one height and
    round.

    None if the sources agree as far as both go. Raises what opening and reading them raises.
    """
    with ExitStack() as stack:
        one, other = (_open(place, stack) for place in (first, second))
        for ours, theirs in zip(_read_runs(one), _read_runs(other), strict=False):
            if (found := find_equivocation(ours, theirs)) is not None:
                return found
    return None


def _open(place: str, stack: ExitStack) -> BlockSource:
    source = open_source(place)
    if isinstance(source, StoreSource):
        stack.callback(source.close)
    return source


def _read_runs(source: BlockSource) -> Iterator[list[SealedHeader]]:
    blocks = iter(source.read_blocks())
    while run := [SealedHeader(block.header, block.seal) for block in islice(blocks, _BLOCKS_AT_ONCE)]:
        yield run
