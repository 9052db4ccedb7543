"""What is wrong with the keystore's contracts on a chain, and what ends a program that serves chains."""

from __future__ import annotations

from microrollup.errors import MicrorollupError

__all__ = [
    "AnotherChain",
    "AnotherRelayer",
    "CallReverts",
    "ChainsError",
    "NoEntryPoint",
    "OutOfBudget",
    "RelayError",
    "WrongCode",
]


class ChainsError(MicrorollupError):
    """A chain is not as the keystore's contracts need it."""


class NoEntryPoint(ChainsError):
    """The chain has no ERC-4337 entry point at the address, which the factory asks while it is created."""

    def __init__(self, chain_id: int, entry_point: bytes) -> None:
        super().__init__(
            f"chain {chain_id} has no entry point at 0x{entry_point.hex()}: anybody may deploy it,"
            " as guides/keystore/roots says; --entry-point names another one"
        )


class WrongCode(ChainsError):
    """At a contract's address is other code than the contract's."""

    def __init__(self, chain_id: int, name: str, address: str, found: str, expected: str) -> None:
        super().__init__(
            f"chain {chain_id}: the code of {name} at {address} has the hash {found or 'of nothing'}, not {expected}:"
            " do not use this chain until you know why; is its node right?"
        )
        self.name = name


class RelayError(MicrorollupError):
    """A relayer cannot go on."""


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
