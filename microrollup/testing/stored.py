"""An app over a real store: a sequencer, a ledger in a directory, and a local L1 on a clock of its own.

What a test needs that is about more than outcomes: restarts, replay, snapshots, proofs. No process is started.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from microrollup.chain.block import Header
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.declaration.rollup import MicroRollup
from microrollup.errors import RefusedError, UsageError
from microrollup.execution.authentication import Authentication, Authenticator
from microrollup.execution.authentication_pool import RecordChunk
from microrollup.execution.payload import encode_envelope_payload, encode_forced_payload
from microrollup.ledger.flush import FlushLimits
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.maintenance.replay import Difference, compare_stores, replay_log
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.testing.execution import BlockStep, EnvelopeStep, ExecutionStep, ForcedStep, Senders, UpgradeTo
from microrollup.testing.signing import sign_action

__all__ = ["StoredRollup", "list_state_rows", "open_fast_directory"]

_L1_START: Final = 150_000_000
"""L1 block at which the clock begins."""

_BUILDER: Final = load_private_key(keccak256(b"a builder in tests"))
_VERIFIER: Final = load_private_key(keccak256(b"a verifier in tests"))
OWNER: Final = compute_address(_BUILDER)
"""Who announces codes to the local settlement."""

_MAP_SIZE: Final = 1 << 30
_BLOCK_SIZE: Final = 10_000
"""More actions than a test submits: blocks close when a step says so."""


_FLUSH_LIMITS: Final = FlushLimits(rows=12, blocks=4, slice_rows=4, idle_rows=2)
"""So few that rows are written out all the time, while blocks close and before and after restarts."""


@contextmanager
def open_fast_directory() -> Iterator[Path]:
    """An empty directory, removed afterwards; in memory where the system has one: for tests of logic, not of disks."""
    shared = Path("/dev/shm")  # noqa: S108  # a directory of its own is made there
    usable = shared.is_dir() and os.access(shared, os.W_OK)
    with tempfile.TemporaryDirectory(dir=shared if usable else None) as directory:
        yield Path(directory)


class StoredRollup:
    """A rollup in a directory. Close it, or use it in a `with` statement."""

    def __init__(self, directory: Path, app: MicroRollup, senders: Senders, *, create: bool = True) -> None:
        """Create or open the store. Only `senders` sign actions; anybody forces them."""
        self.directory = directory
        self.app = app
        self.senders = senders
        self.seconds = float((_L1_START + 10) * SECONDS_PER_BLOCK)
        self.genesis = _make_genesis(app)
        if create:
            self.l1 = LocalSettlement.create(
                directory / "l1", self.genesis, OWNER, app.oldest.stf_id, lambda: self.seconds
            )  # fmt: skip
            self.ledger = Ledger.create(directory / "store", app, self.genesis, map_size=_MAP_SIZE)
        else:
            self.l1 = LocalSettlement.open(directory / "l1", lambda: self.seconds)
            try:
                self.ledger = Ledger.open(directory / "store", app, map_size=_MAP_SIZE)
            except BaseException:
                self.l1.close()
                raise
            self.seconds = max(self.seconds, float(self.ledger.header.timestamp))
        self.sequencer = self._make_sequencer()
        self.ledger.flushing.limits = _FLUSH_LIMITS

    def _make_sequencer(self) -> Sequencer[None]:
        return Sequencer(
            self.ledger, _BUILDER, self.l1, block_size=_BLOCK_SIZE, clock=lambda: self.seconds, upgrade=True
        )

    def apply(self, step: ExecutionStep) -> Sequenced | RefusedError | None:
        """Take one step. What became of a signed action is returned; a forced one is taken by the next block.

        Raises `UsageError` for what is not a step, and what `Sequencer.submit` raises.
        """
        match step:
            case BlockStep():
                self.close_block()
                if step.timestamp is not None:
                    self.seconds = max(self.seconds, float(step.timestamp))
                return None
            case ForcedStep():
                self.l1.force(encode_forced_payload(self.ledger.rollup, step.action), sender=step.sender)
                self.seconds += 2 * SECONDS_PER_BLOCK
                return None
            case EnvelopeStep():
                return self._apply_envelope(step)
            case UpgradeTo():
                self.close_block()
                self.l1.announce_code(step.app.stf_id, caller=OWNER, delay_blocks=0)
                self.seconds += 2 * SECONDS_PER_BLOCK
                self.sequencer.poll()
                return None
            case (sender, action):
                return self.submit(sender, action)
        raise UsageError("a step is (sender, action), force(...), envelope(...), next_block(), at(...) or upgrade(...)")

    def _apply_envelope(self, step: EnvelopeStep) -> Sequenced | RefusedError | None:
        if step.l1_sender is not None:
            self.l1.force(encode_envelope_payload(step.name, step.raw), sender=step.l1_sender)
            self.seconds += 2 * SECONDS_PER_BLOCK
            return None
        try:
            enveloped = self.ledger.authenticator.open_envelope(step.name, step.raw)
        except RefusedError as refusal:
            return refusal
        ((_, outcome),) = self.sequencer.submit([(None, enveloped)])
        return outcome

    def submit(self, sender: bytes, action: Action) -> Sequenced | RefusedError:
        """Sign an action with its sender's next nonce and have it sequenced; when this returns it is durable."""
        key = self.senders.keys.get(sender)
        if key is None:
            raise UsageError(f"0x{sender.hex()} is not one of the senders: nobody here can sign for it")
        nonce = self.ledger.state.nonces.get(sender, 0)
        version = self.ledger.rollup
        domain = version.make_domain(self.genesis.domain.chain_id, self.genesis.domain.verifying_contract)
        line = sign_action(version, action, nonce, key, domain)
        try:
            authenticated = self.ledger.authenticator.authenticate_line(line)
        except RefusedError as refusal:
            return refusal
        ((_, outcome),) = self.sequencer.submit([(None, authenticated)])
        return outcome

    def close_block(self) -> Header | None:
        """Close the open block, or one of due forced actions, or an empty one; L1 goes on by a block.

        A few rows of closed blocks are written out, as a node does when nobody waits.
        """
        header = self.sequencer.close_block(allow_empty=True)
        self.sequencer.flush_some()
        self.seconds += SECONDS_PER_BLOCK
        return header

    def reopen(self, *, crash: bool = False) -> None:
        """Close the store and open it again; with `crash` nothing is written before."""
        self.sequencer.close()
        if crash:
            self.ledger.abandon()
        else:
            self.ledger.close()
        self.ledger = Ledger.open(self.directory / "store", self.app, map_size=_MAP_SIZE)
        self.ledger.flushing.limits = _FLUSH_LIMITS
        self.sequencer = self._make_sequencer()

    def list_rows(self) -> dict[tuple[str, bytes], bytes]:
        """Each entry of the present state: field and encoded key -> encoded value."""
        return list_state_rows(self.ledger.rollup, self.ledger.state.app)

    def compute_digest(self) -> bytes:
        """keccak256 of the present state."""
        return keccak256(msgspec.msgpack.encode(sorted(self.list_rows().items())))

    def replay(self, directory: Path) -> list[Difference]:
        """Execute the whole log again into a new store, and say where that differs."""
        self.ledger.sync_tree()
        with replay_log(self.ledger.environment, self.app, directory, self) as replayed:
            replayed.sync_tree()
            return compare_stores(self.ledger.environment, replayed.environment)

    def authenticate_records(self, chunks: Iterable[Sequence[bytes]]) -> Iterator[list[Authentication]]:
        """As an authentication pool does, here and now."""
        for chunk in chunks:
            version = chunk.version if isinstance(chunk, RecordChunk) else 0
            authenticator = Authenticator.of(self.app.versions[version], self.genesis.domain)
            yield authenticator.authenticate_records(chunk)

    def close(self) -> None:
        """Let go of the store and of L1; nothing more is written."""
        self.sequencer.close()
        self.ledger.abandon()
        self.l1.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def list_state_rows(app: MicroRollup, state: Any) -> dict[tuple[str, bytes], bytes]:
    """Each entry of a state: field and encoded key -> encoded value."""
    rows: dict[tuple[str, bytes], bytes] = {}
    for name, field in app.state_fields:
        value = field.read(state)
        for key, item in value.items() if field.is_map else [(None, value)]:
            rows[name, field.encode_key(key)] = field.encode_row(item)
    return rows


def _make_genesis(app: MicroRollup) -> Genesis:
    return make_genesis(
        app,
        builder=compute_address(_BUILDER),
        verifiers=(compute_address(_VERIFIER),),
        quorum=1,
        l1_start=_L1_START,
        genesis_time=_L1_START * SECONDS_PER_BLOCK,
        l1_chain_id=31337,
    )
