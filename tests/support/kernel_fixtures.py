"""Rollups, keys and a whole chain in a directory, for the tests of the kernel. The clock stands still until told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from microrollup import Action, MicroRollup
from microrollup.chain.block import Block, Header, seal_header
from microrollup.chain.receipt import Receipt
from microrollup.chain.receipt_proof import decode_receipt
from microrollup.chain.record import Genesis, Seal
from microrollup.crypto.ecdsa import PrivateKey, canonicalize_signature, compute_address, load_private_key, sign_digest
from microrollup.crypto.eip712 import compile_digest, compute_domain_separator
from microrollup.crypto.keccak import keccak256
from microrollup.errors import RefusedError
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.execution.authentication_pool import AuthenticationPool
from microrollup.execution.envelope import Enveloped
from microrollup.execution.payload import encode_forced_payload
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.logs import configure_logging
from microrollup.maintenance.replay import Difference, compare_stores, replay_log
from microrollup.sequencer.sequencer import Sequenced, Sequencer
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.store.tables import get_receipts as get_block_receipts
from microrollup.verifier.follow import verify_blocks
from zoo import KINDS, Edit, Step, zoo

configure_logging()  # or each faulted action prints a page

START: Final = 150_000_000
"""L1 block number at which the tests' clock begins."""

MAP_SIZE: Final = 1 << 30


def make_key(name: str) -> PrivateKey:
    """A key that everybody knows."""
    return load_private_key(keccak256(b"kernel tests " + name.encode()))


BUILDER_KEY: Final = make_key("builder")
VERIFIER_KEY: Final = make_key("verifier")
BUILDER: Final = compute_address(BUILDER_KEY)
VERIFIER: Final = compute_address(VERIFIER_KEY)
OWNER: Final = compute_address(make_key("owner"))


def make_steps(*steps: tuple[str, int, int]) -> Edit:
    """An `Edit` of (kind, key, value)."""
    return Edit([Step(KINDS.index(kind), key, value) for kind, key, value in steps], reject=False)


def make_random_edit(rng: Random, keys: int = 12) -> Edit:
    """Up to six changes among a few keys, deletions included; one in ten is rejected."""
    steps = [
        Step(rng.randrange(len(KINDS)), rng.randrange(keys), rng.choice((0, 1, rng.getrandbits(64))))
        for _ in range(rng.randrange(7))
    ]
    return Edit(steps, reject=rng.random() < 0.1)


def mutate(rng: Random, raw: bytes) -> bytes:
    """Hostile bytes near good ones: flipped bits, lengths of msgpack made huge, cuts, copies, insertions."""
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(changed):
                changed[at] = rng.choice(HEADS)
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + rng.randrange(5)]
            case 4:
                changed[at:at] = rng.randbytes(rng.randrange(1, 5))
            case 5:
                changed[at:at] = bytes((rng.choice((0xDD, 0xC6, 0xDB, 0xDF)),)) + rng.choice(
                    (b"\xff" * 4, b"\x00\x00\x00\x01")
                )
            case _:
                start = rng.randrange(len(changed) + 1)
                changed[at:at] = changed[start : start + rng.randrange(40)]
    return bytes(changed)


HEADS: Final = (
    0x00,
    0x7F,
    0x80,
    0x90,
    0x9F,
    0xA0,
    0xBF,
    0xC0,
    0xC1,
    0xC2,
    0xC4,
    0xC6,
    0xCB,
    0xCC,
    0xCF,
    0xD3,
    0xD9,
    0xDB,
    0xDC,
    0xDD,
    0xDF,
    0xFF,
)


@contextmanager
def fast_directory() -> Iterator[Path]:
    """A directory whose syncs cost nothing, where the system has one: for tests of many blocks, not of durability."""
    shared = Path("/dev/shm")  # noqa: S108
    usable = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 1 << 28
    with TemporaryDirectory(dir=shared if usable else None) as directory:
        yield Path(directory)


# --- a chain ---------------------------------------------------------------------------------------------------------


class Signer:
    """Signs actions of a rollup, counting the nonces of each key."""

    def __init__(self, rollup: MicroRollup, genesis: Genesis) -> None:
        domain = genesis.domain
        separator = compute_domain_separator(domain.name, domain.version, domain.chain_id, domain.verifying_contract)
        self._types = {action_type.cls: action_type for action_type in rollup.action_types}
        self._digests = {cls: compile_digest(action_type.type, separator) for cls, action_type in self._types.items()}
        self._authenticator = Authenticator(rollup.action_types, domain)
        self.nonces: dict[str, int] = {}

    def sign(self, action: Action, name: str = "alice", nonce: int | None = None) -> Authenticated:
        """The action as `name` signs it, with the next nonce unless one is given."""
        if nonce is None:
            nonce = self.nonces.get(name, 0)
            self.nonces[name] = nonce + 1
        signature = sign_digest(make_key(name), self._digests[type(action)](action, nonce))
        record = self._types[type(action)].encode_record(action, nonce, canonicalize_signature(signature))
        return self._authenticator.authenticate_signed(record)


class Chain:
    """A rollup in `root`: its local L1 on a clock of its own, and a builder's ledger with its sequencer."""

    def __init__(
        self, root: Path, rollup: MicroRollup = zoo, *, block_size: int = 1_000, map_size: int = MAP_SIZE
    ) -> None:
        self.root = root
        self.rollup = rollup
        self.block_size = block_size
        self.map_size = map_size
        self.seconds = float((START + 10) * SECONDS_PER_BLOCK)
        self.genesis = make_test_genesis(rollup)
        self.l1 = LocalSettlement.create(root / "l1", self.genesis, OWNER, rollup.stf_id, lambda: self.seconds)
        self.ledger = Ledger.create(root / "builder", rollup, self.genesis, map_size=map_size)
        self.sequencer = self.make_sequencer()
        self.signer = Signer(rollup, self.genesis)

    def make_sequencer(self, **options: Any) -> Sequencer[int]:
        """A sequencer over the ledger."""
        given: dict[str, Any] = {"block_size": self.block_size, "clock": lambda: self.seconds}
        return Sequencer(self.ledger, BUILDER_KEY, self.l1, **(given | options))

    def reopen(self, rollup: MicroRollup | None = None, *, abandon: bool = False) -> None:
        """Close the builder (or let it go as a crash does) and open it again, perhaps with other code."""
        self.sequencer.close()
        if abandon:
            self.ledger.abandon()
        else:
            self.ledger.close()
        self.rollup = rollup or self.rollup
        self.ledger = Ledger.open(self.root / "builder", self.rollup, map_size=self.map_size)
        self.sequencer = self.make_sequencer()

    def advance(self, blocks: int = 1) -> None:
        """Let L1 pass by so many blocks."""
        self.seconds += blocks * SECONDS_PER_BLOCK

    def force(self, payload: bytes | Action, name: str = "alice") -> int:
        """Put an action into the inbox and let it become due."""
        if isinstance(payload, Action):
            payload = encode_forced_payload(self.rollup, payload)
        index = self.l1.force(payload, sender=compute_address(make_key(name)))
        self.advance(2)
        return index

    def submit(self, *actions: Authenticated | Enveloped) -> list[Sequenced | RefusedError]:
        """Outcomes in the order of the actions; those that wait for lower nonces are missing."""
        return [outcome for _, outcome in sorted(self.sequencer.submit(enumerate(actions)), key=lambda pair: pair[0])]

    def edit(self, *steps: tuple[str, int, int], name: str = "alice") -> Sequenced:
        """Sign and submit one `Edit`; it must be acknowledged."""
        (outcome,) = self.submit(self.signer.sign(make_steps(*steps), name))
        assert isinstance(outcome, Sequenced)
        return outcome

    def work(self, rng: Random, blocks: int, *, actions: int = 5) -> None:
        """Some blocks of random edits by three senders, every third with forced actions, and time passing."""
        for number in range(blocks):
            if number % 3 == 1:
                self.force(make_random_edit(rng), "frank")
                self.force(rng.randbytes(40))
            self.submit(
                *[
                    self.signer.sign(make_random_edit(rng), f"sender {rng.randrange(3)}")
                    for _ in range(rng.randrange(1, 2 * actions))
                ]
            )
            self.sequencer.close_block()
            self.advance()

    def close_block(self, **options: bool) -> Header:
        """Close the open block, which must be there."""
        header = self.sequencer.close_block(**options)
        assert header is not None
        return header

    def get_blocks(self, first: int = 1) -> list[Block]:
        """The builder's closed blocks."""
        blocks = [self.ledger.get_block(height) for height in range(first, self.ledger.checkpoint.height + 1)]
        return [block for block in blocks if block is not None]

    def make_verifier(self, name: str = "verifier", rollup: MicroRollup | None = None) -> Ledger:
        """A verifier's empty store."""
        return Ledger.create(self.root / name, rollup or self.rollup, self.genesis, audit=True, map_size=self.map_size)

    def verify(self, ledger: Ledger, blocks: Iterable[Block] | None = None, *, l1: bool = True) -> None:
        """Verify blocks (default: all that the builder has and the ledger lacks)."""
        if blocks is None:
            blocks = self.get_blocks(ledger.checkpoint.height + 1)
        verify(ledger, blocks, self.l1 if l1 else None)

    def close(self) -> None:
        """Close everything but verifiers."""
        self.sequencer.close()
        self.ledger.abandon()
        self.l1.close()


def make_test_genesis(rollup: MicroRollup) -> Genesis:
    """The genesis of the tests' chains."""
    return make_genesis(
        rollup,
        builder=BUILDER,
        verifiers=(VERIFIER,),
        quorum=1,
        l1_start=START,
        genesis_time=START * SECONDS_PER_BLOCK,
        l1_chain_id=31337,
    )


def verify(ledger: Ledger, blocks: Iterable[Block], l1: LocalSettlement | None) -> None:
    """Authenticate in this process and verify."""
    reference = {
        "keystore": "apps.keystore",
        "escapes": "escapes",
        "auctions": "trial_auction",
        "nested": "nested",
        "alarms": "alarms",
        "tickets": "tickets",
    }.get(ledger.rollup.name, "zoo:zoo")
    with AuthenticationPool(reference, ledger.genesis.domain, 0) as pool:
        verify_blocks(ledger, blocks, l1, pool)


def seal(header: Header, key: PrivateKey = BUILDER_KEY, round_: int = 0) -> Seal:
    """The seal that a key gives a header."""
    return msgspec.structs.replace(seal_header(key, header, round_), info="sealed by a test")


def get_receipts(outcomes: Sequence[object]) -> list[tuple[int, str]]:
    """(status, reason) of acknowledged actions."""
    return [(o.receipt.status, o.receipt.reason) for o in outcomes if isinstance(o, Sequenced)]


def list_replay_differences(ledger: Ledger, reference: str, directory: Path) -> list[Difference]:
    """Between a store and the replay of its log in a directory; `reference` names its app."""
    ledger.sync_tree()
    with (
        AuthenticationPool(reference, ledger.genesis.domain, 0) as pool,
        replay_log(ledger.environment, ledger.app, directory, pool) as replayed,
    ):
        replayed.sync_tree()
        return compare_stores(ledger.environment, replayed.environment)


def read_receipts(ledger: Ledger, height: int) -> list[Receipt]:
    """The receipts of a closed block."""
    block, environment = ledger.get_block(height), ledger.environment
    assert block is not None
    return [decode_receipt(raw) for raw in get_block_receipts(environment.reader, environment.tables, block.header)]


def read_statuses(ledger: Ledger, height: int) -> list[int]:
    """What became of its entries."""
    return [receipt.status for receipt in read_receipts(ledger, height)]
