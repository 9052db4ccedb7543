"""Flips single bits in the data files of a store while it is in use, and compares all that it says afterwards.

`python tests/support/flip_store.py [COUNT] [SEED]`: each flip gets a copy of one used store, in a process of its own
that opens it, flips the bit under its own mapping, executes, reads, proves, closes blocks, restarts and rebuilds.
Prints how many flips were noticed (a typed error), were harmless (every answer, root and signature is that of the
undamaged store), ended the process, or were undetected; ends with 1 if there is one of the last kind, or an error that
has no type.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from blake3 import blake3

from kernel_fixtures import BUILDER_KEY, MAP_SIZE, Chain, fast_directory, make_random_edit
from microrollup.declaration.map import StoreFault
from microrollup.declaration.state import NONCES
from microrollup.errors import MicrorollupError, NotRetained, UsageError
from microrollup.ledger.ledger import Ledger
from microrollup.logs import configure_logging
from microrollup.maintenance.snapshot.write import write_snapshot
from microrollup.node.errors import NotRecorded
from microrollup.node.lookups import Lookups
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.local import LocalSettlement
from microrollup.store.log_pages import read_log_pages
from zoo import MISCHIEF, Misbehave, Zoo, make_guard, zoo

__all__ = ["ENDED", "HARMLESS", "NOTICED", "run_flips"]

NOTICED: Final = "noticed"
HARMLESS: Final = "harmless"
ENDED: Final = "ended the process"
UNTYPED: Final = "error without a type"
UNDETECTED: Final = "undetected"

FILES: Final = ("data.mdb", "data.mdb", "leaves", "nodes")
"""Every other flip is in LMDB's file."""

KEYS: Final = 120
BLOCKS: Final = 16
_SECONDS: Final = 300

Answer = tuple[str, bytes | None]
"""A question, and the digest of what was answered; None for a typed error, after which the next question is asked."""


def _sum_tickets(state: Zoo, _: Any) -> Zoo:
    """Reads every ticket and some of the rest: what it returns depends on all that it was given."""
    total = state.visitors + sum([key * value % 2**32 for key, value in state.tickets.items()])
    for key in range(0, KEYS, 7):
        guard, animal = state.guards.get(make_guard(key)), state.animals.get(f"animal {key}")
        total += 3 * (guard or 0) + (0 if animal is None else len(animal.legs))
    for key in range(0, KEYS, 11):
        total += len(state.notes.get(b"%d" % key) or b"")
    return Zoo(**{**{name: getattr(state, name) for name in Zoo.__struct_fields__}, "visitors": total % 2**64})


MISCHIEF["sum"] = _sum_tickets


class Scene:
    """A store that is in use: its ledger, its sequencer, and readers."""

    def __init__(self, root: Path, plan: dict[str, Any]) -> None:
        self.root = root
        self.plan = plan
        self.seconds = plan["seconds"]
        self.l1 = LocalSettlement.open(root / "l1", lambda: self.seconds)
        self.open()

    def open(self) -> None:
        """Open the store, as a node does at its start."""
        self.ledger = Ledger.open(self.root / "builder", zoo, map_size=MAP_SIZE)
        self.sequencer: Sequencer[int] = Sequencer(self.ledger, BUILDER_KEY, self.l1, clock=lambda: self.seconds)
        self.lookups = Lookups(self.ledger, lambda: None)
        for action_hash, sender in self.plan["known"]:
            self.lookups.remember_sender(action_hash, sender)

    def close(self) -> None:
        """As a node does when it stops."""
        self.sequencer.close()
        self.ledger.close()

    def crash(self) -> None:
        """Nothing is written out: the next opening reads what blocks have changed."""
        self.sequencer.close()
        self.ledger.abandon()

    def submit(self, part: int) -> list[Any]:
        """Some signed actions: new ones, known ones, used nonces."""
        group = [self.ledger.authenticator.authenticate_record(record) for record in self.plan["actions"][part]]
        return self.sequencer.submit(enumerate(group))

    def read(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """All that can be asked, each question by itself."""
        lookups, tip = self.lookups, self.ledger.checkpoint.height
        for height in range(tip + 1):
            yield f"block {height}", lambda height=height: lookups.get_block(height)
            yield f"ledger {height}", lambda height=height: self.ledger.get_block(height)
            yield f"receipts {height}", lambda height=height: lookups.get_receipts(lookups.get_header(height))
        yield "absent block", lambda: lookups.find_hash(tip + 1)
        yield "log", lambda: list(read_log_pages(self.ledger.environment, self.ledger.rollup_id))
        yield "actions", lambda: lookups.read_actions(0, 10_000)
        for action_hash in self.plan["hashes"]:
            yield f"action {action_hash.hex()}", lambda action_hash=action_hash: lookups.find_action(action_hash)
            yield f"known {action_hash.hex()}", lambda action_hash=action_hash: self.sequencer.known.find(action_hash)
        for sender in self.plan["senders"]:
            yield f"nonces {sender.hex()}", lambda sender=sender: lookups.get_nonces(sender)
        for field in (*zoo.state_type.fields, NONCES):
            for key in range(0, KEYS + 5, 17) if field.is_map and field is not NONCES else ():
                encoded = field.encode_key({"animals": f"animal {key}", "tickets": key, "notes": b"%d" % key}.get(
                    field.name, make_guard(key)
                ))  # fmt: skip
                for height in (tip, tip // 2):
                    what = f"{field.name} {key} at {height}"
                    yield what, lambda f=field, k=encoded, h=height: lookups.get_value(f, k, h).value
                    if field.settled:
                        yield f"proof of {what}", lambda f=field, k=encoded, h=height: lookups.prove(f, k, h)
        for height in (tip, tip // 2):
            yield f"snapshot {height}", lambda h=height: self.write_snapshot(h)

    def write_snapshot(self, height: int) -> str:
        """The identity of a height's snapshot."""
        return write_snapshot(self.ledger.environment, zoo, self.root / "snapshot", height).id


def use(scene: Scene, flip: Callable[[], None]) -> Iterator[Answer]:
    """Everything that is asked of a store, with the answers' digests; the flip comes when the store is warm.

    Ends at the first error of the writer, whose memory is not to be used any more then.
    """
    yield "before", _digest(scene.submit(0))
    flip()
    yield "submitted", _digest(scene.submit(1))
    yield from _read_all(scene)
    yield "closed", _digest(scene.sequencer.close_block())
    yield "more", _digest(scene.submit(2))
    yield "sealed", _digest(scene.sequencer.close_block())
    yield "open", _digest(scene.submit(3))
    scene.crash()
    scene.open()
    yield "restarted", _digest(scene.sequencer.close_block())
    yield from _read_all(scene)
    scene.sequencer.rebuild(scene.ledger.checkpoint.height - 2)
    yield "rebuilt", _digest(scene.ledger.header)
    scene.close()


def _read_all(scene: Scene) -> Iterator[Answer]:
    failed = None
    for what, ask in scene.read():
        try:
            yield what, _digest(ask())
        except (NotRecorded, NotRetained, UsageError) as error:
            yield what, _digest(repr(error))
        except (MicrorollupError, StoreFault) as error:
            yield what, None
            failed = failed or error
    if failed is not None:
        raise failed


def _digest(answer: object) -> bytes:
    return blake3(repr(answer).encode()).digest(8)


# --- one flip --------------------------------------------------------------------------------------------------------


def build(root: Path) -> dict[str, Any]:
    """A used store, and what will be done to it. The rows of half of its blocks are not written out."""
    chain, rng = Chain(root), Random(1)
    for number in range(BLOCKS):
        if number == BLOCKS // 2:
            chain.ledger.flushing.flush()
        chain.submit(*[chain.signer.sign(make_random_edit(rng, KEYS), f"s{rng.randrange(9)}") for _ in range(12)])
        chain.close_block()
        chain.advance()
        chain.ledger.note_settled(max(1, chain.ledger.checkpoint.height - 20), int(chain.seconds))
    known = [known for block in range(1, BLOCKS + 1) for known in _list_known(chain, block)]
    old = list(chain.get_blocks()[3].records)
    actions = [
        [
            *old[:2],
            *[chain.signer.sign(make_random_edit(rng, KEYS + 20), f"s{rng.randrange(14)}").record for _ in range(10)],
            chain.signer.sign(Misbehave("sum"), "s0").record,
        ]
        for _ in range(4)
    ]
    plan = {
        "actions": actions,
        "hashes": [*[action_hash for action_hash, _ in known[::23]], bytes(32)],
        "known": known,
        "senders": [*{chain.ledger.authenticator.authenticate_record(record).sender for record in old}, bytes(20)],
        "seconds": chain.seconds,
        "leaves": chain.ledger.checkpoint.leaf_count,
    }
    chain.sequencer.close()
    chain.ledger.abandon()
    chain.l1.close()
    return plan


def _list_known(chain: Chain, height: int) -> list[tuple[bytes, bytes]]:
    """Hashes and senders of a block's actions."""
    lookups = Lookups(chain.ledger, lambda: None)
    return [(action.receipt.action_hash, action.sender) for action in lookups.get_block(height).actions]


def choose_bit(rng: Random, root: Path, leaf_count: int) -> tuple[str, int]:
    """A file, and a bit of the part of it that is in use."""
    name = rng.choice(FILES)
    size = (root / "builder" / name).stat().st_size
    used = {"leaves": 99 * leaf_count, "nodes": 64 * leaf_count}.get(name, size)
    return name, rng.randrange(8 * min(used, size))


def _flip(path: Path, bit: int) -> None:
    with path.open("r+b", buffering=0) as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes((byte ^ 1 << bit % 8,)))


def run_alone(work: Callable[[], Any]) -> Any:
    """What something returns in a process of its own; `ENDED` and how, if the process did not come so far."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(_SECONDS)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(work(), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return pickle.loads(raw) if status == 0 else (ENDED, f"exit {status}")  # noqa: S301


def run_scene(root: Path, plan: dict[str, Any], flip: Callable[[], None], expected: list[Answer] | None) -> Any:
    """The answers; with expected ones, what became of the flip instead, and why."""
    answers: list[Answer] = []
    try:
        for answer in use(Scene(root, plan), flip):
            if expected is not None and answer[1] is not None and answer != expected[len(answers)]:
                return UNDETECTED, f"{answer[0]}, where {expected[len(answers)][0]} was asked"
            answers.append(answer)
    except (MicrorollupError, StoreFault) as error:
        return NOTICED, f"{type(error).__name__}: {error}"
    except Exception as error:
        return UNTYPED, f"{type(error).__name__}: {error}"
    return answers if expected is None else (HARMLESS, "")


def run_flips(count: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Counter[str]:
    """How many flips had which outcome; each one that is not noticed or harmless is said."""
    rng, outcomes = Random(seed), Counter[str]()
    with fast_directory() as directory:
        base, root = directory / "base", directory / "trial"
        plan = run_alone(lambda: build(base))
        shutil.copytree(base, root)
        expected = run_alone(lambda: run_scene(root, plan, lambda: None, None))
        assert len(expected) > 300, expected
        for number in range(count):
            shutil.rmtree(root)
            shutil.copytree(base, root)
            name, bit = choose_bit(rng, base, plan["leaves"])
            path = root / "builder" / name
            outcome, why = run_alone(
                lambda path=path, bit=bit: run_scene(root, plan, lambda: _flip(path, bit), expected)
            )
            outcomes[outcome] += 1
            if outcome not in (NOTICED, HARMLESS):
                say(f"flip {number}: bit {bit} of {name}: {outcome}: {why}\n")
    return outcomes


def main() -> None:
    """See the module."""
    configure_logging()
    count, seed = (
        int(sys.argv[place]) if len(sys.argv) > place else default for place, default in ((1, 2_000), (2, 1))
    )
    outcomes = run_flips(count, seed, sys.stdout.write)
    for outcome in (NOTICED, HARMLESS, ENDED, UNTYPED, UNDETECTED):
        sys.stdout.write(f"{outcome}: {outcomes[outcome]}\n")
    sys.exit(outcomes[UNTYPED] + outcomes[UNDETECTED] > 0)


if __name__ == "__main__":
    main()
