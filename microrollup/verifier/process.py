"""The verifier's own process: `python -m microrollup.verifier`, started by `microrollup.verifier.launch`.

It reads one `VerifierRequest` from standard input (a line of JSON) and writes one JSON line per event to its output:
`progress`, then `report`, or `divergence`, or `error`. One that follows goes on: each `Tick` that it reads gives
another `report`, until its standard input ends, as it does when its starter is gone.

It runs with another hash seed, time zone, locale and working directory than its starter, in a bare environment,
and under limits of its own, so that what depends on them diverges here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, redirect_stdout
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from microrollup.based.following import follow_queue
from microrollup.chain.block import Header, encode_header_words
from microrollup.chain.record import Genesis
from microrollup.crypto.bls_shares import BlsKey, load_bls_key
from microrollup.crypto.ecdsa import SigningKey, load_private_key
from microrollup.declaration.rollup import MicroRollup, load_rollup
from microrollup.errors import (
    Divergence,
    MicrorollupError,
    NotRetained,
    StoreMissing,
    UsageError,
    WrongRollup,
)
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.watchdog import Watchdog
from microrollup.keys.remote import RemoteKey
from microrollup.ledger.code import OtherCode, describe_changes
from microrollup.ledger.ledger import Ledger
from microrollup.limits import ACTION_SECONDS, MEMORY_BYTES, RECURSION_LIMIT, VERIFIER_FACTOR, limited_memory
from microrollup.logs import configure_logging
from microrollup.settlement.attestation import SignedAttestation, attestation_to_json, get_attester
from microrollup.settlement.place import open_l1
from microrollup.settlement.protocol import L1View
from microrollup.verifier.attester import Attester
from microrollup.verifier.based import attest_queue
from microrollup.verifier.derive import SettledSource, derive_blocks
from microrollup.verifier.events import (
    DivergenceEvent,
    ErrorEvent,
    Report,
    Tick,
    VerifierEvent,
    VerifierProgress,
    VerifierRequest,
)
from microrollup.verifier.follow import read_judgeable, verify_blocks
from microrollup.verifier.l1_rules import NotJudgedYet
from microrollup.verifier.scope import check_scope, find_missing
from microrollup.verifier.signatures import SharedHeights, SignedHeights
from microrollup.verifier.source import BlockSource, find_tip, open_source
from microrollup.verifier.verify import list_unchecked

__all__ = ["main"]

_SIGNED_DIRECTORY = "signed"
_STORE_DIRECTORY = "store"


def _emit(stream: BinaryIO, event: VerifierEvent) -> None:
    try:
        stream.write(msgspec.json.encode(event) + b"\n")
        stream.flush()
    except BrokenPipeError:  # the asker is gone; what is durable stays so
        os._exit(2)


def main() -> int:
    """Read a request, verify, report. Exit code 0: verified, 1: a block diverges, 2: anything else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the starter, which ends this
    configure_logging()
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=VerifierRequest)
    sys.setrecursionlimit(RECURSION_LIMIT)
    sys.path[:0] = request.python_path
    emit = partial(_emit, sys.stdout.buffer)
    try:
        # what an app prints is not an event
        with limited_memory(MEMORY_BYTES * VERIFIER_FACTOR), redirect_stdout(sys.stderr):
            _verify(request, emit)
    except Divergence as error:
        emit(DivergenceEvent.of(error))
        return 1
    except MemoryError:
        limit = MEMORY_BYTES * VERIFIER_FACTOR
        emit(ErrorEvent("LimitExceeded", f"the verifier's limit of {limit} bytes of memory was hit"))
        return 2
    except (MicrorollupError, OSError) as error:
        emit(ErrorEvent(type(error).__name__, str(error)))
        return 2
    return 0


def _verify(request: VerifierRequest, emit: Callable[[VerifierEvent], None]) -> None:
    rollup = load_rollup(request.app)
    key = _open_key(request)
    with ExitStack() as stack:
        l1 = None if request.l1 is None else stack.enter_context(closing(open_l1(request.l1)))
        source = _open_source(request.source, l1)
        check_scope(rollup, source, l1, None if request.rollup_id is None else bytes.fromhex(request.rollup_id))
        if key is not None and isinstance(source, SettledSource) and not source.genesis.is_based:
            raise UsageError("--key attests what is not settled yet; --from-l1 derives what is: give --from")
        directory = Path(request.directory)
        own = stack.enter_context(
            SignedHeights(directory / _SIGNED_DIRECTORY if request.signed is None else Path(request.signed))
        )
        signed: SignedHeights | SharedHeights = own
        if request.replica is not None and key is not None:
            log = stack.enter_context(closing(request.replica.open()))
            signed = SharedHeights(own, log, get_attester(key))
        watchdog = stack.enter_context(Watchdog(ACTION_SECONDS * VERIFIER_FACTOR))
        ledger = stack.enter_context(_open_ledger(directory / _STORE_DIRECTORY, rollup, source.genesis))
        ledger.watchdog, ledger.twice = watchdog, not request.once
        pool = stack.enter_context(
            AuthenticationPool(request.app, ledger.genesis.domain, request.workers, twice=not request.once)
        )

        tip = 0 if request.follow or source.genesis.is_based else find_tip(source)

        def report(header: Header) -> None:
            emit(VerifierProgress(header.height, tip))

        attester = None if l1 is None or key is None else Attester(l1, key, signed)
        for tick in _read_ticks(request):
            first = ledger.checkpoint.height + 1
            attestations: list[SignedAttestation] = []
            waiting: int | None = None
            if source.genesis.is_based:
                attestations = _follow_queue(ledger, l1, key if tick.attest else None, signed, report)
            elif isinstance(source, SettledSource):
                derive_blocks(ledger, source.l1, pool, report)
            else:
                try:
                    _verify_new(ledger, source, l1, pool, report)
                except OtherCode as other:
                    changes = describe_changes(rollup, other.expected, source.read_manifest(other.expected))
                    raise OtherCode(other.height, expected=other.expected, found=other.found, changes=changes) from None
                except NotJudgedYet as young:
                    waiting = young.height
                if tick.attest and attester is not None:
                    attestations = attester.attest(ledger, source, tick)
            emit(_describe(ledger, first, attestations, l1, waiting, once=request.once))


def _follow_queue(
    ledger: Ledger,
    l1: L1View | None,
    key: SigningKey | BlsKey | None,
    signed: SignedHeights | SharedHeights,
    report: Callable[[Header], None],
) -> list[SignedAttestation]:
    """Follow a based rollup to what L1 is not expected to take back, and attest it if there is a key."""
    if l1 is None:
        raise UsageError("a based rollup follows from L1 alone: name one")
    follow_queue(ledger, l1, l1.get_origin(), report)
    attestation = None if key is None else attest_queue(ledger, l1, key, signed)
    return [] if attestation is None else [attestation]


def _verify_new(
    ledger: Ledger, source: BlockSource, l1: L1View | None, pool: AuthenticationPool, report: Callable[[Header], None]
) -> None:
    """Verify what the source has after the ledger's last block.

    The source may begin with a snapshot. What is settled comes from L1 then, which vouches for it as well.
    """

    def verify() -> None:
        blocks = read_judgeable(source.read_blocks(ledger.checkpoint.height + 1), l1)
        verify_blocks(ledger, blocks, l1, pool, lambda block: report(block.header))

    try:
        verify()
    except NotRetained:
        if l1 is None or l1.get_settled().height <= ledger.checkpoint.height:
            raise
        derive_blocks(ledger, l1, pool, report)
        verify()


def _open_source(place: str | None, l1: L1View | None) -> BlockSource | SettledSource:
    """The named source; without one, what L1 settled."""
    if place is not None:
        return open_source(place)
    if l1 is None:
        raise UsageError("there is neither a source of blocks nor an L1 to derive them from")
    return SettledSource(l1)


def _read_ticks(request: VerifierRequest) -> Iterator[Tick]:
    """The first one is free, unless the starter of this process decides what is attested when."""
    if not request.follow:
        yield Tick()
        return
    for line in sys.stdin.buffer:
        yield msgspec.json.decode(line, type=Tick)


def _describe(
    ledger: Ledger,
    first: int,
    attestations: list[SignedAttestation],
    l1: L1View | None,
    waiting: int | None,
    *,
    once: bool,
) -> Report:
    return Report(
        verified=ledger.checkpoint.height,
        first=first,
        actions=ledger.checkpoint.next_seq,
        rollup_id=f"0x{ledger.rollup_id.hex()}",
        block_hash=f"0x{ledger.checkpoint.block_hash.hex()}",
        state_root=f"0x{ledger.header.state_root.hex()}",
        metadata_root=f"0x{ledger.header.metadata_root.hex()}",
        attestations=[msgspec.Raw(attestation_to_json(attestation)) for attestation in attestations],
        unchecked=list_unchecked(l1),
        once=once,
        waiting=waiting,
        missing=None if l1 is None else find_missing(ledger.app, l1, ledger.header.l1_origin),
        header=_show_header(ledger, attestations) if ledger.genesis.is_based else None,
    )


def _show_header(ledger: Ledger, attestations: Sequence[SignedAttestation]) -> str | None:
    if not attestations:
        return None
    return f"0x{encode_header_words(ledger.get_header(attestations[-1].attestation.last_height)).hex()}"


def _open_ledger(directory: Path, rollup: MicroRollup, genesis: Genesis) -> Ledger:
    """The verifier's own store, made from the source's genesis the first time."""
    try:
        ledger = Ledger.open(directory, rollup, audit=True)
    except StoreMissing:
        return Ledger.create(directory, rollup, genesis, audit=True)
    if ledger.genesis != genesis:
        ledger.close()
        raise WrongRollup(f"{directory} follows another rollup; give --data another directory")
    return ledger


def _open_key(request: VerifierRequest) -> SigningKey | BlsKey | None:
    if request.signer is not None:
        return RemoteKey.open(request.signer)
    if request.secret is None:
        return None
    secret = bytes.fromhex(request.secret)
    return load_bls_key(secret) if request.bls else load_private_key(secret)
