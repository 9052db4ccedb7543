"""What ends a relayer, or one of its chains."""

from __future__ import annotations

from microrollup.errors import MicrorollupError

__all__ = ["AnotherChain", "AnotherRelayer", "AnotherRollup", "CallReverts", "OutOfBudget", "RelayError"]


class RelayError(MicrorollupError):
    """A relayer cannot go on."""


class AnotherRollup(RelayError):
    """The source is of another rollup than the one whose updates the directory holds."""

    def __init__(self, expected: bytes, found: bytes) -> None:
        super().__init__(
            f"the source is of the rollup 0x{found.hex()}, the directory of 0x{expected.hex()}: give another --data"
        )


class AnotherRelayer(RelayError):
    """Another process has the directory open."""

    def __init__(self, directory: str) -> None:
        super().__init__(f"another relayer works in {directory}: stop it, or give another --data and another key")


class AnotherChain(RelayError):
    """A URL gives another chain than before, or two URLs give the same."""

    def __init__(self, place: str, found: int, expected: str) -> None:
        super().__init__(f"{place} is chain {found}, {expected}: nothing is sent there")


class OutOfBudget(RelayError):
    """What a chain's transactions may cost is spent."""

    def __init__(self, budget: int, spent: int) -> None:
        super().__init__(f"{spent} wei of {budget} are spent, and the rest pays for no transaction: raise --budget")


class CallReverts(RelayError):
    """A call reverts; `reason` is the name of the contract's error, or what is known instead of one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
