"""What an inbox refuses, one class per rule; every backend raises the same class for the same cause.

    SettlementError
    ├── set-up:        AlreadyInitialised, BadQuorum, WrongChain, WrongDomain
    ├── position:      HeaderOutOfRange, WrongRollupId, WrongStfId, HeightGap, WrongParent
    ├── time:          StaleTimestamp, FutureTimestamp, BadOrigin
    ├── attestations:  WrongAttestation, WrongData, MalleableSignature, ForeignAttester, DuplicateAttester,
    │                  TooFewAttestations; and those of `microrollup.settlement.quorum_errors`
    ├── forced queue:  PayloadTooLarge, UnknownEntry, ForcedSkipped, WrongForcedHash
    ├── announcements: AlreadyVoided, NothingPending, CancelledTooLate
    ├── permission:    NotBuilder, NotOwner, ZeroBuilder, ZeroCode, Based
    └── data:          BatchTooLarge, NoBlobs, NotTopLevel

An argument is always an integer or bytes, so that the contract's custom errors can have these names and arguments.
"""

from __future__ import annotations

from microrollup.errors import SettlementError, show_value

__all__ = [
    "AlreadyInitialised",
    "AlreadyVoided",
    "BadOrigin",
    "BadQuorum",
    "Based",
    "BatchTooLarge",
    "CancelledTooLate",
    "DuplicateAttester",
    "ForcedSkipped",
    "ForeignAttester",
    "FutureTimestamp",
    "HeaderOutOfRange",
    "HeightGap",
    "MalleableSignature",
    "NoBlobs",
    "NotBuilder",
    "NotOwner",
    "NotTopLevel",
    "NothingPending",
    "PayloadTooLarge",
    "SettlementError",
    "StaleTimestamp",
    "TooFewAttestations",
    "UnknownEntry",
    "WrongAttestation",
    "WrongChain",
    "WrongData",
    "WrongDomain",
    "WrongForcedHash",
    "WrongParent",
    "WrongRollupId",
    "WrongStfId",
    "ZeroBuilder",
    "ZeroCode",
]


class AlreadyInitialised(SettlementError):
    """There is an inbox at this place already; a rollup begins once."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} holds an inbox already")
        self.place = place


class BadQuorum(SettlementError):
    """A verifier set cannot be like this.

    There are 1 to 256 addresses, strictly ascending from above zero, or 1 to 512 BLS keys; the quorum is more than half
    of them and of the weights of proofs together, at most all.
    """

    def __init__(self, count: int, quorum: int) -> None:
        super().__init__(
            f"{count} verifiers with a quorum of {quorum}: need 1 to 256 strictly ascending non-zero addresses "
            "(or 1 to 512 BLS keys; at most 4 rules) and a quorum of more than half of them"
        )
        self.count = count
        self.quorum = quorum


class WrongChain(SettlementError):
    """The genesis is of another L1 than the one on which the inbox would be."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"the genesis is for chain {found}, this is chain {expected}")
        self.expected = expected
        self.found = found


class WrongDomain(SettlementError):
    """Wallets would sign for another contract than this inbox (or zero)."""

    def __init__(self, expected: bytes, found: bytes) -> None:
        super().__init__(f"the domain's verifyingContract is 0x{found.hex()}, the inbox is 0x{expected.hex()}")
        self.expected = expected
        self.found = found


class _Mismatch(SettlementError):
    """Two 32-byte words should be equal and are not."""

    noun = "word"

    def __init__(self, expected: bytes, found: bytes) -> None:
        super().__init__(f"{self.noun} is 0x{found.hex()}, the inbox has 0x{expected.hex()}")
        self.expected = expected
        self.found = found


class HeaderOutOfRange(SettlementError):
    """A number of the header is not below 2^64, so readers could not take the event; `word` counts from 0 to 13."""

    def __init__(self, word: int) -> None:
        super().__init__(f"word {word} of the header is not below 2^64")
        self.word = word


class WrongRollupId(_Mismatch):
    """The header or the attestation is another rollup's."""

    noun = "the rollup id"


class WrongStfId(_Mismatch):
    """The header names neither the settled block's code nor the one in force at its L1 origin, which is `expected`."""

    noun = "the stfId"


class WrongParent(_Mismatch):
    """The attestation's `parentHash` is not the hash of the last settled block."""

    noun = "the parent hash"


class HeightGap(SettlementError):
    """The batch does not begin right above the last settled height, or ends below its own beginning."""

    def __init__(self, settled: int, first: int, last: int) -> None:
        super().__init__(f"heights {first} to {last} do not continue height {settled}")
        self.settled = settled
        self.first = first
        self.last = last


class StaleTimestamp(SettlementError):
    """The header's timestamp lies before that of the last settled block."""

    def __init__(self, earliest: int, found: int) -> None:
        super().__init__(f"timestamp {found} is before the settled block's {earliest}")
        self.earliest = earliest
        self.found = found


class FutureTimestamp(SettlementError):
    """The timestamp lies after the L1 time of the settling transaction."""

    def __init__(self, latest: int, found: int) -> None:
        super().__init__(f"timestamp {found} is after L1's time, {latest}")
        self.latest = latest
        self.found = found


class BadOrigin(SettlementError):
    """The header's L1 origin goes back, is too old, or is not a past L1 block: it must be in `lowest ..= highest`."""

    def __init__(self, lowest: int, highest: int, found: int) -> None:
        super().__init__(f"L1 origin {found} is not between {lowest} and {highest}")
        self.lowest = lowest
        self.highest = highest
        self.found = found


class WrongAttestation(SettlementError):
    """An attestation speaks of another last height, block hash or state root than the header; `member` says which."""

    def __init__(self, member: str, expected: int | bytes, found: int | bytes) -> None:
        super().__init__(f"the attestation's {member} is {show_value(found)}, the header's {show_value(expected)}")
        self.member = member
        self.expected = expected
        self.found = found


class WrongData(_Mismatch):
    """The attestation's `dataHash` is not that of the data published with it."""

    noun = "the data hash"


class MalleableSignature(SettlementError):
    """The signature is not the one form: 65 bytes `r || s || v`, s in the lower half, v 27 or 28, a key recoverable."""

    def __init__(self, signature: bytes) -> None:
        super().__init__(f"not the one accepted form of a signature: 0x{signature.hex()}")
        self.signature = signature


class ForeignAttester(SettlementError):
    """The signer is not in the verifier set. Signing for another inbox, chain or text also ends up here."""

    def __init__(self, attester: bytes) -> None:
        super().__init__(f"0x{attester.hex()} is not a verifier of this inbox (or signed for another domain or text)")
        self.attester = attester


class DuplicateAttester(SettlementError):
    """Two signatures of one verifier; only distinct ones count."""

    def __init__(self, attester: bytes) -> None:
        super().__init__(f"0x{attester.hex()} attests more than once")
        self.attester = attester


class TooFewAttestations(SettlementError):
    """Fewer verifiers attest than the quorum asks for."""

    def __init__(self, quorum: int, found: int) -> None:
        super().__init__(f"{found} attestations, the quorum is {quorum}")
        self.quorum = quorum
        self.found = found


class PayloadTooLarge(SettlementError):
    """The payload of a forced action is longer than the queue takes."""

    def __init__(self, limit: int, found: int) -> None:
        super().__init__(f"a payload of {found} bytes, the limit is {limit}")
        self.limit = limit
        self.found = found


class UnknownEntry(SettlementError):
    """The queue of forced actions, of `length` entries, does not reach that far."""

    def __init__(self, length: int, found: int) -> None:
        super().__init__(f"{found} reaches beyond the queue's {length} entries")
        self.length = length
        self.found = found


class ForcedSkipped(SettlementError):
    """The batch leaves out forced actions that were due: too few were taken for its L1 origin."""

    def __init__(self, settled: int, found: int, l1_origin: int) -> None:
        super().__init__(f"forced count goes from {settled} to {found}, more were due at L1 block {l1_origin}")
        self.settled = settled
        self.found = found
        self.l1_origin = l1_origin


class WrongForcedHash(_Mismatch):
    """The header's `forcedHash` is not the queue's hash after `forcedCount` entries."""

    noun = "the forced hash"


class AlreadyVoided(SettlementError):
    """The owner voided this entry before; its effective block stays."""

    def __init__(self, index: int, effective: int) -> None:
        super().__init__(f"forced action {index} is voided from L1 block {effective} on")
        self.index = index
        self.effective = effective


class NothingPending(SettlementError):
    """There is nothing announced to cancel, of this kind (its number) or for this entry (its index)."""

    def __init__(self, what: int) -> None:
        super().__init__(f"nothing is announced for {what}, or it has taken effect")
        self.what = what


class CancelledTooLate(SettlementError):
    """What takes effect within 300 L1 blocks cannot be cancelled any more."""

    def __init__(self, effective: int, number: int) -> None:
        super().__init__(f"what takes effect in L1 block {effective} cannot be cancelled in block {number} any more")
        self.effective = effective
        self.number = number


class NotBuilder(SettlementError):
    """Only the builder submits batches, until it has been silent for long enough."""

    def __init__(self, builder: bytes, submitter: bytes) -> None:
        super().__init__(f"0x{submitter.hex()} is not the builder 0x{builder.hex()}")
        self.builder = builder
        self.submitter = submitter


class NotOwner(SettlementError):
    """Only the inbox's owner may do this."""

    def __init__(self, owner: bytes, caller: bytes) -> None:
        super().__init__(f"0x{caller.hex()} is not the owner 0x{owner.hex()}")
        self.owner = owner
        self.caller = caller


class ZeroBuilder(SettlementError):
    """The zero address cannot seal blocks, so it cannot be the builder."""

    def __init__(self) -> None:
        super().__init__("the builder cannot be the zero address")


class Based(SettlementError):
    """A based rollup has no builder and no voids, and publishes no data: all of it is in the queue's events."""

    def __init__(self) -> None:
        super().__init__("the rollup is based: it has no builder, no voids, and no data but the queue's")


class ZeroCode(SettlementError):
    """No code has the id zero, so it cannot be announced."""

    def __init__(self) -> None:
        super().__init__("a code's id cannot be zero")


class BatchTooLarge(SettlementError):
    """The batch does not fit the data of one transaction."""

    def __init__(self, limit: int, found: int) -> None:
        super().__init__(f"a batch of {found} bytes, the limit is {limit}")
        self.limit = limit
        self.found = found


class NoBlobs(SettlementError):
    """A batch was to be settled with the blobs of a transaction that has none."""

    def __init__(self) -> None:
        super().__init__("the transaction carries no blobs")


class NotTopLevel(SettlementError):
    """A batch in calldata must be in the transaction's own input, where readers of L1 find it."""

    def __init__(self, caller: bytes) -> None:
        super().__init__(f"0x{caller.hex()} is not the transaction's own sender, or has code")
        self.caller = caller
