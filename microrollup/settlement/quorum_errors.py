"""What an inbox refuses about sets of verifiers and what they bring; see `microrollup.settlement.errors` for the rest.

SettlementError
├── signatures:  WrongKind, FalseShare, WrongAggregateLength, BadBitmap, WrongAggregate
├── BLS keys:    WrongKeysLength, BadKey, UnknownPage
└── proofs:      ExternalVerifiers, WrongEncoding, RuleUnmet, UnknownRule, TooLittleGas, NeedsOwner
"""

from __future__ import annotations

from microrollup.errors import SettlementError

__all__ = [
    "BadBitmap",
    "BadKey",
    "ExternalVerifiers",
    "FalseShare",
    "NeedsOwner",
    "RuleUnmet",
    "TooLittleGas",
    "UnknownPage",
    "UnknownRule",
    "WrongAggregate",
    "WrongAggregateLength",
    "WrongEncoding",
    "WrongKeysLength",
    "WrongKind",
]


class FalseShare(SettlementError):
    """A verifier's BLS share is not its key's signature of this attestation; in the sum it would spoil all others."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"0x{key.hex()} did not sign this attestation: its share is not one")
        self.key = key


class WrongKind(SettlementError):
    """The signatures begin with another byte than the set has: 0 ECDSA, 1 BLS, 2 with proofs; 255 for none."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"signatures of kind {found}, the verifiers' is {expected}")
        self.expected = expected
        self.found = found


class WrongAggregateLength(SettlementError):
    """An aggregate is a signature of 128 bytes and a bit for each verifier."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"an aggregate of {found} bytes, {expected} are needed")
        self.expected = expected
        self.found = found


class BadBitmap(SettlementError):
    """A bit is set for a verifier that the set does not have."""

    def __init__(self, count: int, bitmap: bytes) -> None:
        super().__init__(f"the bitmap 0x{bitmap.hex()} names more than the {count} verifiers")
        self.count = count
        self.bitmap = bitmap


class WrongAggregate(SettlementError):
    """The verifiers whose bits are not set did not make this aggregate signature."""

    def __init__(self, present: int) -> None:
        super().__init__(f"the {present} verifiers that are not named as absent did not make this signature")
        self.present = present


class WrongKeysLength(SettlementError):
    """A page is 1 to 64 BLS keys of 192 bytes with as many proofs of 128 bytes; found so many bytes of both."""

    def __init__(self, keys: int, proofs: int) -> None:
        super().__init__(f"{keys} bytes of keys and {proofs} of proofs: 1 to 64 keys of 192 with a proof of 128 each")
        self.keys = keys
        self.proofs = proofs


class BadKey(SettlementError):
    """A BLS key is infinity, not above the one before, no point of its group, or its proof of possession is wrong."""

    def __init__(self, index: int) -> None:
        super().__init__(f"key {index} is not a BLS key with its proof of possession, or not above the one before")
        self.index = index


class UnknownPage(SettlementError):
    """No registered page of BLS keys has this address, or its keys are not above those of the page before."""

    def __init__(self, page: bytes) -> None:
        super().__init__(f"0x{page.hex()} is not a registered page of keys, or not above the page before")
        self.page = page


class ExternalVerifiers(SettlementError):
    """A set with proofs was announced to a settlement that can verify none."""

    def __init__(self) -> None:
        super().__init__("the local settlement verifies no proofs: sets with rules need an inbox on Ethereum")


class WrongEncoding(SettlementError):
    """Signatures with proofs are exactly `abi.encode(bytes, (uint8, bytes)[])`."""

    def __init__(self) -> None:
        super().__init__("the signatures and proofs are not as their ABI")


class RuleUnmet(SettlementError):
    """The verifier of a rule says no to the proof, or a proof that is required is missing."""

    def __init__(self, rule: int, verifier: bytes) -> None:
        super().__init__(f"no proof that 0x{verifier.hex()} accepts, of rule {rule}")
        self.rule = rule
        self.verifier = verifier


class UnknownRule(SettlementError):
    """The set has no rule with this index, or proofs are not in the order of the rules."""

    def __init__(self, rule: int) -> None:
        super().__init__(f"no rule {rule}, or not in the order of the rules")
        self.rule = rule


class TooLittleGas(SettlementError):
    """A proof's verifier is called with all the gas that it may use."""

    def __init__(self, needed: int, found: int) -> None:
        super().__init__(f"{found} gas is left, verifying a proof needs {needed}")
        self.needed = needed
        self.found = found


class NeedsOwner(SettlementError):
    """A proof is required, or will be, and without an owner nobody could take that back."""

    def __init__(self) -> None:
        super().__init__("while a proof is required the inbox needs an owner")
