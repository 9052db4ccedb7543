"""What an inbox refuses, one class per rule; every backend raises the same class for the same cause.

    SettlementError
    ├── set-up:        AlreadyInitialised, BadQuorum, WrongChain, WrongDomain
    ├── position:      HeaderOutOfRange, WrongRollupId, WrongStfId, HeightGap, WrongParent
    ├── time:          StaleTimestamp, FutureTimestamp, BadOrigin
    ├── attestations:  WrongAttestation, WrongData, WrongKind, MalleableSignature, ForeignAttester, DuplicateAttester,
    │                  FalseShare, WrongAggregateLength, BadBitmap, WrongAggregate, TooFewAttestations
    ├── BLS keys:      WrongKeysLength, BadKey, UnknownPage
    ├── proofs:        ExternalVerifiers, WrongEncoding, ProofRefused, UnknownRule, TooLittleGas, NeedsOwner
    ├── forced queue:  PayloadTooLarge, UnknownEntry, ForcedSkipped, WrongForcedHash
    ├── announcements: AlreadyVoided, NothingPending, CancelledTooLate
    ├── permission:    NotBuilder, NotOwner, ZeroBuilder, ZeroCode
    └── data:          BatchTooLarge, NoBlobs, NotTopLevel

An argument is always an integer or bytes, so that the contract's custom errors can have these names and arguments.
"""

from __future__ import annotations

from microrollup.errors import SettlementError, show_value

__all__ = [
    "AlreadyInitialised",
    "AlreadyVoided",
    "BadBitmap",
    "BadKey",
    "BadOrigin",
    "BadQuorum",
    "BatchTooLarge",
    "CancelledTooLate",
    "DuplicateAttester",
    "ExternalVerifiers",
    "FalseShare",
    "ForcedSkipped",
    "ForeignAttester",
    "FutureTimestamp",
    "HeaderOutOfRange",
    "HeightGap",
    "MalleableSignature",
    "NeedsOwner",
    "NoBlobs",
    "NotBuilder",
    "NotOwner",
    "NotTopLevel",
    "NothingPending",
    "PayloadTooLarge",
    "ProofRefused",
    "SettlementError",
    "StaleTimestamp",
    "TooFewAttestations",
    "TooLittleGas",
    "UnknownEntry",
    "UnknownPage",
    "UnknownRule",
    "WrongAggregate",
    "WrongAggregateLength",
    "WrongAttestation",
    "WrongChain",
    "WrongData",
    "WrongDomain",
    "WrongEncoding",
    "WrongForcedHash",
    "WrongKeysLength",
    "WrongKind",
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


class FalseShare(SettlementError):
    """A verifier's BLS share is not its key's signature of this attestation; in the sum it would spoil all others."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"0x{key.hex()} did not sign this attestation: its share is not one")
        self.key = key


class DuplicateAttester(SettlementError):
    """Two signatures of one verifier; only distinct ones count."""

    def __init__(self, attester: bytes) -> None:
        super().__init__(f"0x{attester.hex()} attests more than once")
        self.attester = attester


class WrongKind(SettlementError):
    """The signatures begin with another byte than the verifier set has: 0 ECDSA, 1 BLS, 2 with proofs; 255 is none."""

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
        super().__init__(f"key {index} is no BLS key with its proof of possession, or is not above the one before")
        self.index = index


class UnknownPage(SettlementError):
    """No registered page of BLS keys has this address, or its keys are not above those of the page before."""

    def __init__(self, page: bytes) -> None:
        super().__init__(f"0x{page.hex()} is no registered page of keys, or not above the page before")
        self.page = page


class ExternalVerifiers(SettlementError):
    """A set with proofs was announced to a settlement that can verify none."""

    def __init__(self) -> None:
        super().__init__("the local settlement verifies no proofs: sets with rules need an inbox on Ethereum")


class WrongEncoding(SettlementError):
    """Signatures with proofs are exactly `abi.encode(bytes, (uint8, bytes)[])`."""

    def __init__(self) -> None:
        super().__init__("the signatures and proofs are not as their ABI")


class ProofRefused(SettlementError):
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
