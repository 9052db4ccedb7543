"""Rollups, keys and a whole chain in a directory, for the tests of the kernel. The clock stands still until told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import msgspec

from microrollup import (
    Action,
    Address,
    Bytes,
    Context,
    Event,
    Map,
    MicroRollup,
    Revert,
    State,
    Uint8,
    Uint32,
    Uint64,
    Uint256,
    metadata,
    replace,
)
from microrollup.authentication import Authenticated, Authenticator
from microrollup.authentication_pool import AuthenticationPool
from microrollup.block import Block, Header, compute_block_hash
from microrollup.crypto import (
    PrivateKey,
    canonicalize_signature,
    compute_address,
    keccak256,
    load_private_key,
    sign_digest,
)
from microrollup.eip712 import compile_digest, compute_domain_separator
from microrollup.entry import encode_forced_payload
from microrollup.errors import RefusedError
from microrollup.genesis import make_genesis
from microrollup.ledger import Ledger
from microrollup.logs import configure_logging
from microrollup.record import Genesis, Seal
from microrollup.sequencer import Acknowledgement, Sequencer
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.verifier.follow import verify_blocks

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


# --- the zoo: a rollup with every kind of field ----------------------------------------------------------------------


class Animal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value with parts."""

    weight: Uint256
    sound: str
    legs: tuple[Uint8, ...]


class Zoo(State, frozen=True):
    """Settled maps, a settled scalar, and both as metadata."""

    animals: Map[str, Animal] = Map()
    tickets: Map[Uint32, Uint64] = Map()
    visitors: Uint64 = 0
    notes: Annotated[Map[Bytes, Bytes], metadata] = Map()
    motto: Annotated[Bytes, metadata] = b""
    guards: Map[Address, Uint8] = Map()


class Edited(Event, frozen=True):
    """Something was done."""

    steps: Uint32


class Step(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One change: `kind` indexes `KINDS`."""

    kind: Uint8
    key: Uint32
    value: Uint64


class Edit(Action, frozen=True):
    """Some changes at once; the whole action is rejected if `reject` says so."""

    steps: list[Step]
    reject: bool


class Misbehave(Action, frozen=True):
    """Runs the function that a test has put into `MISCHIEF` under this name."""

    how: str


KINDS: Final = (
    "set_animal", "delete_animal", "set_ticket", "delete_ticket", "count", "set_note", "delete_note", "set_motto",
    "set_guard", "delete_guard",
)  # fmt: skip


def make_animal(value: int) -> Animal:
    """The animal that `set_animal` keeps for a value."""
    return Animal(value << 180, f"{value:x}", tuple(value.to_bytes(8, "big")[-(value % 4) :]))


def make_guard(key: int) -> bytes:
    """A 20-byte key."""
    return key.to_bytes(20, "big")


def apply_step(zoo: Zoo, step: Step) -> Zoo:
    """The zoo after one change."""
    key, value = step.key, step.value
    match KINDS[step.kind]:
        case "set_animal":
            return replace(zoo, animals=zoo.animals.set(f"animal {key}", make_animal(value)))
        case "delete_animal":
            return replace(zoo, animals=zoo.animals.delete(f"animal {key}"))
        case "set_ticket":
            return replace(zoo, tickets=zoo.tickets.set(key, value))
        case "delete_ticket":
            return replace(zoo, tickets=zoo.tickets.delete(key))
        case "count":
            return replace(zoo, visitors=(zoo.visitors + value) % 2**64)
        case "set_note":
            return replace(zoo, notes=zoo.notes.set(b"%d" % key, b"%d" % value))
        case "delete_note":
            return replace(zoo, notes=zoo.notes.delete(b"%d" % key))
        case "set_motto":
            return replace(zoo, motto=b"%d" % value)
        case "set_guard":
            return replace(zoo, guards=zoo.guards.set(make_guard(key), value % 256))
        case _:
            return replace(zoo, guards=zoo.guards.delete(make_guard(key)))


def edit(state: Zoo, action: Edit, ctx: Context) -> Zoo:
    """Apply all steps."""
    if action.reject:
        raise Revert("rejected as asked")
    for step in action.steps:
        state = apply_step(state, step)
    ctx.emit(Edited(len(action.steps)))
    return state


def edit_wrongly(state: Zoo, action: Edit, ctx: Context) -> Zoo:
    """`edit` with a bug: every ticket costs one more."""
    steps = [Step(step.kind, step.key, step.value + (KINDS[step.kind] == "set_ticket")) for step in action.steps]
    return edit(state, Edit(steps, action.reject), ctx)


Mischief = Callable[[Zoo, Context], Any]

MISCHIEF: Final[dict[str, Mischief]] = {}


def misbehave(state: Zoo, action: Misbehave, ctx: Context) -> Zoo:
    """Whatever the test wants."""
    result: Zoo = MISCHIEF[action.how](state, ctx)
    return result


def make_zoo(edit_function: Callable[[Zoo, Edit, Context], Zoo] = edit) -> MicroRollup:
    """The zoo's rollup; all of them have one stfId, whatever code stands in `edit_function`."""
    genesis = Zoo(tickets=Map({3: 30, 1: 10}), notes=Map({b"7": b"seven"}), motto=b"born")
    return MicroRollup(name="zoo", version="1", genesis=genesis, stfs=[edit_function, misbehave])


zoo: Final = make_zoo()
buggy_zoo: Final = make_zoo(edit_wrongly)


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
        return self._authenticator.authenticate_record(record)


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
        self.l1 = LocalSettlement.create(root / "l1", self.genesis, OWNER, lambda: self.seconds)
        self.ledger = Ledger.create(root / "builder", rollup, self.genesis, map_size=map_size)
        self.sequencer = self.make_sequencer()
        self.signer = Signer(rollup, self.genesis)

    def make_sequencer(self, **options: Any) -> Sequencer[int]:
        """A sequencer over the ledger."""
        return Sequencer(
            self.ledger, BUILDER_KEY, self.l1, block_size=self.block_size, clock=lambda: self.seconds, **options
        )

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

    def submit(self, *actions: Authenticated) -> list[Acknowledgement | RefusedError]:
        """Outcomes in the order of the actions; those that wait for lower nonces are missing."""
        return [outcome for _, outcome in sorted(self.sequencer.submit(enumerate(actions)), key=lambda pair: pair[0])]

    def edit(self, *steps: tuple[str, int, int], name: str = "alice") -> Acknowledgement:
        """Sign and submit one `Edit`; it must be acknowledged."""
        (outcome,) = self.submit(self.signer.sign(make_steps(*steps), name))
        assert isinstance(outcome, Acknowledgement)
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
    reference = "apps.keystore" if ledger.rollup.name == "keystore" else "kernel_fixtures:zoo"
    with AuthenticationPool(reference, ledger.genesis.domain, 0) as pool:
        verify_blocks(ledger, blocks, l1, pool)


def seal(header: Header, key: PrivateKey = BUILDER_KEY) -> Seal:
    """The seal that a key gives a header."""
    return Seal(sign_digest(key, compute_block_hash(header)), "sealed by a test")


def get_receipts(outcomes: Sequence[object]) -> list[tuple[int, str]]:
    """(status, reason) of acknowledged actions."""
    return [(o.receipt.status, o.receipt.reason) for o in outcomes if isinstance(o, Acknowledgement)]
