"""The rules of ERC-7562 held against a trace: what an operation's validation may run, call, read and write.

A bundler drops operations that break them, because one transaction of a stranger could then make a whole mempool
invalid. Held is a stricter form: of the slots that the rules call associated with an account, only the one whose number
is the account's address, not those that hash it.

The trace is `debug_traceCall` of the entry point's `handleOps`, step by step. Rules are named as in the standard:
https://eips.ethereum.org/EIPS/eip-7562
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from microrollup.crypto.keccak import keccak256

BANNED: Final = frozenset((
    "GASPRICE", "GASLIMIT", "PREVRANDAO", "DIFFICULTY", "TIMESTAMP", "BASEFEE", "BLOCKHASH", "NUMBER", "ORIGIN",
    "COINBASE", "CREATE", "SELFDESTRUCT", "BLOBHASH", "BLOBBASEFEE", "INVALID",
))  # fmt: skip
CALLS: Final = frozenset(("CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"))
CODE_READS: Final = frozenset(("EXTCODESIZE", "EXTCODEHASH", "EXTCODECOPY"))
BALANCES: Final = frozenset(("BALANCE", "SELFBALANCE"))
PRECOMPILES: Final = frozenset((*range(1, 10), 0x100))
BEFORE_EXECUTION: Final = keccak256(b"BeforeExecution()")


class Step(NamedTuple):
    """One instruction."""

    phase: str
    """Whose work it is: `factory` or `account`."""
    operation: str
    address: bytes
    """Whose storage it runs on."""
    stack: list[int]
    """The top is last."""
    next_operation: str
    depth: int


class Access(NamedTuple):
    """A word of storage, read or written."""

    phase: str
    address: bytes
    slot: int
    writes: bool


class Subject(NamedTuple):
    """What the rules distinguish."""

    entry_point: bytes
    sender: bytes
    factory: bytes
    factory_is_staked: bool
    sender_exists: bool
    """Before the operation."""
    codeless: frozenset[bytes]
    """Addresses, of those that are called or whose code is read, that have no code."""


def _address(word: int) -> bytes:
    return (word % 2**160).to_bytes(20, "big")


def _stack_of(entry: dict[str, Any]) -> list[int]:
    return [int(word, 16) for word in entry.get("stack") or []]


def iterate_steps(logs: list[dict[str, Any]], subject: Subject) -> Iterator[Step]:
    """The steps of validation, without the entry point's own and its helper's, up to the event that ends validation."""
    frames: dict[int, bytes] = {1: subject.entry_point}
    phase = ""
    for index, entry in enumerate(logs):
        depth, operation, stack = entry["depth"], entry["op"], _stack_of(entry)
        following = logs[index + 1] if index + 1 < len(logs) else {"depth": 0, "op": "", "stack": []}
        if depth == 1:
            if operation == "LOG1" and stack[-3] == int.from_bytes(BEFORE_EXECUTION, "big"):
                return
            if operation == "CALL":
                phase = "account" if _address(stack[-2]) == subject.sender else "factory"
        elif frames[depth] != subject.entry_point and (phase, depth) != ("factory", 2):  # 2: the helper that calls it
            yield Step(phase, operation, frames[depth], stack, following["op"], depth)
        if following["depth"] == depth + 1:
            if operation in ("CREATE", "CREATE2"):
                frames[depth + 1] = subject.sender  # that it is, OP-031 checks when the address is returned
            else:
                frames[depth + 1] = frames[depth] if operation in ("DELEGATECALL", "CALLCODE") else _address(stack[-2])


def list_targets(steps: list[Step]) -> set[bytes]:
    """All addresses that are called or whose code is read."""
    calls = {_address(step.stack[-2]) for step in steps if step.operation in CALLS}
    return calls | {_address(step.stack[-1]) for step in steps if step.operation in CODE_READS}


def list_accesses(steps: list[Step]) -> list[Access]:
    """All storage that is touched, transient storage too (OP-070)."""
    return [
        Access(step.phase, step.address, step.stack[-1], step.operation in ("SSTORE", "TSTORE"))
        for step in steps
        if step.operation in ("SLOAD", "SSTORE", "TLOAD", "TSTORE")
    ]


def find_violations(steps: list[Step], subject: Subject) -> list[str]:
    """The rules that are broken, each as its name and where."""
    found = [f"OP-011 {step.operation} by {step.phase}" for step in steps if step.operation in BANNED]
    for step in steps:
        if step.operation == "GAS" and step.next_operation not in CALLS:
            found.append(f"OP-012 GAS by {step.phase}")
        if step.operation in BALANCES and not (step.phase == "factory" and subject.factory_is_staked):
            found.append(f"OP-080 {step.operation} by {step.phase}")
        if step.operation in CALLS:
            found.extend(_judge_call(step, subject))
        if step.operation in CODE_READS:
            found.extend(_judge_target(_address(step.stack[-1]), step, subject))
    creations = [step for step in steps if step.operation == "CREATE2"]
    if len(creations) > 1 or any(step.phase != "factory" or step.address != subject.factory for step in creations):
        found.append("OP-031 CREATE2 by others than the factory, or again")
    return found + [
        f"STO {'write' if access.writes else 'read'} of {access.address.hex()} by {access.phase}"
        for access in list_accesses(steps)
        if not _is_allowed(access, subject)
    ]


def _judge_call(step: Step, subject: Subject) -> list[str]:
    target = _address(step.stack[-2])
    has_value = step.operation == "CALL" and step.stack[-3] != 0
    if target == subject.entry_point:
        pays = step.phase == "account" and has_value and step.stack[-5] == 0  # OP-053
        return [] if pays else [f"OP-052 call of the entry point by {step.phase}"]
    value = [f"OP-061 value sent by {step.phase}"] if has_value else []
    return value + _judge_target(target, step, subject)


def _judge_target(target: bytes, step: Step, subject: Subject) -> list[str]:
    if int.from_bytes(target, "big") in PRECOMPILES or target not in subject.codeless:
        return []
    if target == subject.sender:
        return []  # OP-042 while the factory makes it; afterwards it is there
    return [f"OP-041 {target.hex()} has no code, {step.operation} by {step.phase}"]


def _is_allowed(access: Access, subject: Subject) -> bool:
    if access.address == subject.sender:
        return True  # STO-010
    is_associated = access.slot == int.from_bytes(subject.sender, "big")
    if is_associated and (subject.sender_exists or subject.factory_is_staked):
        return True  # STO-021, STO-022
    if access.phase == "factory" and subject.factory_is_staked:
        return access.address == subject.factory or not access.writes  # STO-031, STO-033
    return False
