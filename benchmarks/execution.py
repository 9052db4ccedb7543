"""Row 1: decoding, dispatch, STF and receipt of unsigned actions, against a bare fold over a dict.

Both sides process the same actions over a million accounts in memory and call Keccak-256 equally often, which a run
with counting asserts; both end with the same accounts and nonces.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, Final

import msgspec

from apps.keystore import app
from apps.keystore.accounts import Account, Keystore
from benchmarks.context import Bench
from benchmarks.counting import count_keccaks
from benchmarks.measure import Stopwatch, compare
from benchmarks.report import Row, make_ratio_row
from benchmarks.workload import ACTIONS_PER_SENDER, Population, make_register, make_sender
from microrollup import Map
from microrollup.codec.canonical import encode_canonical
from microrollup.crypto.keccak import keccak256
from microrollup.execution.authentication import Authenticated
from microrollup.execution.block_context import BlockContext
from microrollup.execution.entry import make_signed_entry
from microrollup.execution.journal import Journal
from microrollup.execution.stf import ChainState, apply_actions
from microrollup.primitives import ZERO_ADDRESS

__all__ = ["TARGET", "LIMIT", "KernelFold", "fold", "make_kernel_fold", "measure"]

TARGET: Final = 0.5
LIMIT: Final = "bare fold"

_ROUNDS: Final = 40
"""Repetitions for each of the run's: a group takes milliseconds."""

Accounts = dict[bytes, tuple[bytes, bytes]]
Step = tuple[str, Any, bytes, int]
"""Action's name, its members, sender, nonce."""


class KernelFold:
    """Our path: stored record -> entry -> `apply_actions` -> encoded receipt."""

    def __init__(self, accounts: Accounts, nonces: dict[bytes, int]) -> None:
        """Start from equal contents in objects of its own, so that neither side warms the other's cache lines."""
        stored = {_copy(key): Account(_copy(data), _copy(vk)) for key, (data, vk) in accounts.items()}
        counts = {_copy(sender): nonce for sender, nonce in nonces.items()}
        self.state = ChainState(Keystore(accounts=Map(stored)), Map(counts), 0)

    def run(self, actions: list[Authenticated]) -> list[bytes]:
        """The encoded receipts of a group."""
        entries = [make_signed_entry(app, action) for action in actions]
        context = BlockContext(1, 0, 0, Journal(len(app.state_fields)))
        self.state, receipts = apply_actions(app, self.state, entries, context)
        return [encode_canonical(receipt) for receipt in receipts]


def fold(accounts: Accounts, nonces: dict[bytes, int], steps: list[Step]) -> list[bool]:
    """The limit: the same rules as plain Python, over dicts, for actions that are decoded already.

    The two hashes of an account's leaf are part of it, since the tree commits to them.
    """
    outcomes = []
    for name, action, sender, nonce in steps:
        if nonces.get(sender, 0) != nonce:
            raise ValueError(nonce)
        nonces[sender] = nonce + 1
        data = action.code_hash + action.config_hash
        if name == "Register":
            vk = sender
            key = keccak256(action.salt + keccak256(data) + keccak256(vk))
            done = key not in accounts
        else:
            key, vk = action.key, action.vk
            known = accounts.get(key)
            done = known is not None and known[1] == sender and len(vk) == 20 and vk != ZERO_ADDRESS
        if done:
            accounts[key] = (data, vk)
            keccak256(data) + keccak256(vk)
        outcomes.append(done)
    return outcomes


def _copy(raw: bytes) -> bytes:
    return bytes(bytearray(raw))


def _read_step(action: Authenticated) -> Step:
    record = app.action_types.decode_record(action.record)
    body = app.action_types.to_action(record)
    return type(body).__name__, body, action.sender, action.nonce


def _make_accounts(count: int, population: Population) -> tuple[Accounts, dict[bytes, int]]:
    accounts: Accounts = {}
    for account in range(count):
        action, sender = make_register(account), make_sender(account // ACTIONS_PER_SENDER)
        accounts[population.get_key(account)] = (action.code_hash + action.config_hash, sender)
    senders = -(-count // ACTIONS_PER_SENDER)
    nonces = {
        make_sender(sender): min(ACTIONS_PER_SENDER, count - sender * ACTIONS_PER_SENDER) for sender in range(senders)
    }
    return accounts, nonces


def make_kernel_fold(accounts: int) -> tuple[KernelFold, Population]:
    """Our path over that many accounts in memory, for profiles."""
    population = Population(accounts)
    return KernelFold(*_make_accounts(accounts, population)), population


class _Contest:
    """Both sides over equal accounts. A repetition's actions are made just before it, as if they had just come in."""

    def __init__(self, accounts: int, size: int) -> None:
        self.population = Population(accounts)
        self.accounts, self.nonces = _make_accounts(accounts, self.population)
        self.ours = KernelFold(self.accounts, self.nonces)
        self._size = size
        self._number = -1
        self._batch: list[Authenticated] = []
        self._steps: list[Step] = []
        self._watches = Stopwatch(size), Stopwatch(size)

    def restart(self) -> None:
        """Forget what repetitions took until now."""
        self._watches = Stopwatch(self._size), Stopwatch(self._size)

    def name_cpu(self) -> dict[str, float]:
        """Microseconds per action by side; both are this process."""
        ours, bare = self._watches
        return {"this process": ours.cpu, "the fold": bare.cpu}

    def prepare(self, number: int, make: Callable[[int], list[Authenticated]]) -> None:
        """The actions of the repetition, made once for both sides."""
        if number != self._number:
            self._number = number
            self._batch = make(self._size)
            self._steps = [_read_step(action) for action in self._batch]

    def run_ours(self) -> float:
        """Seconds an action."""
        watch, _ = self._watches
        with watch:
            self.ours.run(self._batch)
        return watch.lap

    def run_fold(self) -> float:
        """Seconds an action."""
        _, watch = self._watches
        with watch:
            fold(self.accounts, self.nonces, self._steps)
        return watch.lap

    def count_hashes(self) -> int:
        """Run both sides once; how often each calls Keccak-256, which must be the same, on the same bytes."""
        with count_keccaks() as one:
            self.ours.run(self._batch)
        with count_keccaks() as other:
            done = fold(self.accounts, self.nonces, self._steps)
        if one.sizes != other.sizes or not all(done):
            raise AssertionError(f"our path hashes {len(one.sizes)} times, its limit {len(other.sizes)} times")
        return len(one.sizes)

    def check_equal(self) -> None:
        """Both sides hold the same state: as many entries, and the same newest ones."""
        state, nonces = self.ours.state.app, self.ours.state.nonces
        if not isinstance(state, Keystore):
            raise TypeError(type(state))
        if (len(state.accounts), len(nonces)) != (len(self.accounts), len(self.nonces)):
            raise AssertionError("the two folds ended with different numbers of accounts or nonces")
        newest = self.population.accounts
        for account in range(max(0, newest - 1000), newest):
            key = self.population.get_key(account)
            if msgspec.structs.astuple(state.accounts[key]) != self.accounts[key]:
                raise AssertionError(f"the two folds differ in account {account}")


def measure(bench: Bench) -> list[Row]:
    """The wallet file's mix, and registers alone."""
    bench.say(f"folding over {bench.sizes.accounts:,} accounts in memory")
    contest = _Contest(bench.sizes.accounts, bench.sizes.fold)
    population = contest.population
    gc.collect()
    gc.freeze()  # the accounts are neither side's garbage
    try:
        return [
            _measure_work(bench, contest, "60 % Register, 40 % Update", population.make_mix, TARGET),
            _measure_work(bench, contest, "all Register", population.make_registers, None),
        ]
    finally:
        gc.unfreeze()


def _measure_work(
    bench: Bench,
    contest: _Contest,
    what: str,
    make: Callable[[int], list[Authenticated]],
    target: float | None,
) -> Row:
    sizes = bench.sizes
    contest.prepare(-2, make)
    hashes = contest.count_hashes()
    contest.restart()

    def run(side: Callable[[], float]) -> Callable[[int], float]:
        def run_side(number: int) -> float:
            contest.prepare(number, make)
            return side()

        return run_side

    found = compare(run(contest.run_ours), run(contest.run_fold), _ROUNDS * sizes.repetitions)
    contest.check_equal()
    hashed = f"{hashes / sizes.fold:.1f} keccaks an action on both sides"
    note = f"unsigned, keystore in memory, groups of {sizes.fold}; {hashed}"
    return make_ratio_row(
        "execution",
        what,
        found,
        limit_name=LIMIT,
        target=target,
        accounts=f"{sizes.accounts:,}",
        cpu=contest.name_cpu(),
        note=note,
    )
