"""What can go wrong between us and an L1, as opposed to what the inbox refuses (`microrollup.settlement.errors`).

    L1Error
    ├── reading:  L1Unreachable (L1TimedOut), L1Throttled, L1BadAnswer, L1Refused (L1Denied), WrongL1, NoInbox,
    │             NoDeployer, BlobsMissing, BlobsUnreachable
    └── sending:  L1WithoutBlobs, FeeTooHigh, TransactionPending, TransactionReverted, TransactionRefused

A settler keeps its batch after an `L1Error` and tries again: nothing is known against the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from microrollup.errors import MicrorollupError

__all__ = [
    "UNANSWERED",
    "BlobsMissing",
    "BlobsUnreachable",
    "FeeTooHigh",
    "L1BadAnswer",
    "L1Denied",
    "L1Error",
    "L1Refused",
    "L1Throttled",
    "L1TimedOut",
    "L1Unreachable",
    "L1WithoutBlobs",
    "NoDeployer",
    "NoInbox",
    "TransactionPending",
    "TransactionRefused",
    "TransactionReverted",
    "WrongL1",
]

_MAX_SHOWN = 300


class L1Error(MicrorollupError):
    """L1 could not be read, or did not take a transaction."""


class L1Unreachable(L1Error):
    """No answer came, after retries; another try may succeed."""

    def __init__(self, place: str, reason: str, *, connected: bool = True) -> None:
        super().__init__(f"no answer from L1 at {place} ({clip(reason)}): is the node running, and is the URL right?")
        self.place = place
        self.reason = reason
        self.connected = connected
        """Whether there is a server at all."""


class L1TimedOut(L1Unreachable):
    """No answer came in time; for less at once it may."""


class L1Throttled(L1Error):
    """The node takes no more requests for now, and did not within our patience; `retry_after` is in seconds."""

    def __init__(self, place: str, reason: str, retry_after: float | None) -> None:
        again = "later" if retry_after is None else f"in {math.ceil(retry_after)} s"
        super().__init__(
            f"L1 at {place} is asked too often ({clip(reason)}): try again {again}, or use a node with a higher limit"
        )
        self.place = place
        self.reason = reason
        self.retry_after = retry_after


class L1BadAnswer(L1Error):
    """The node answered what cannot be: it or its proxy is broken, or it lies. Nothing of it was taken over."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"L1's answer cannot be right: {what}: {clip(reason)}; ask another node if this goes on")
        self.what = what
        self.reason = reason


class L1Refused(L1Error):
    """The node answered with a JSON-RPC error; `data` is what a call reverted with, if it did."""

    def __init__(self, method: str, code: int, message: str, data: bytes | None) -> None:
        super().__init__(f"L1 refuses {method}: {clip(message)} ({code})")
        self.method = method
        self.code = code
        self.message = message
        self.data = data


class L1Denied(L1Refused):
    """The node's server answered with an HTTP status and no JSON-RPC error: it does not take the request at all."""

    def __init__(self, place: str, method: str, status: int, message: str) -> None:
        L1Error.__init__(self, f"L1 at {place} does not take {method} ({clip(message)}): {_advise(status)}")
        self.place = place
        self.method = method
        self.code = status
        self.message = message
        self.data = None


def _advise(status: int) -> str:
    if status in {401, 403, 407}:
        return "check the key in its URL, or give one by --l1-header"
    if status == 413:
        return "it takes only shorter requests"
    return "check its URL"


class WrongL1(L1Error):
    """The node belongs to another chain than the rollup's."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"the node is of chain {found}, the rollup settles on chain {expected}")
        self.expected = expected
        self.found = found


class NoInbox(L1Error):
    """There is no inbox at the address."""

    def __init__(self, inbox: bytes, reason: str) -> None:
        super().__init__(f"0x{inbox.hex()} is not an inbox on this L1 ({reason}): check address and chain")
        self.inbox = inbox
        self.reason = reason


class NoDeployer(L1Error):
    """The deterministic deployment proxy is not at its address, and could not be brought there."""

    def __init__(self, deployer: bytes, reason: str) -> None:
        super().__init__(f"the deployment proxy 0x{deployer.hex()} is not on this L1: {reason}")
        self.deployer = deployer
        self.reason = reason


class BlobsMissing(L1Error):
    """A settled batch's blob is not available anywhere; nodes drop blobs after some 18 days."""

    def __init__(self, versioned_hash: bytes, asked: Sequence[str]) -> None:
        said = "; ".join(clip(line) for line in asked) or "no source is named"
        super().__init__(f"no source has the blob 0x{versioned_hash.hex()} ({said}): name an archive that does")
        self.versioned_hash = versioned_hash
        self.asked = tuple(asked)


class BlobsUnreachable(L1Error):
    """A settled batch's blob may be at a source that could not be asked; another try may succeed."""

    def __init__(self, versioned_hash: bytes, asked: Sequence[str]) -> None:
        said = "; ".join(clip(line) for line in asked)
        super().__init__(f"the blob 0x{versioned_hash.hex()} could not be asked for everywhere ({said}): try again")
        self.versioned_hash = versioned_hash
        self.asked = tuple(asked)


class L1WithoutBlobs(L1Error):
    """The chain has no blobs (EIP-4844), so that no batch can be published in any."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this L1 takes no blobs ({clip(reason)}): publish batches as calldata (`--da calldata`)")
        self.reason = reason


class FeeTooHigh(L1Error):
    """L1 asks for more than the options allow; wait, or raise the cap."""

    def __init__(self, noun: str, limit: int, needed: int) -> None:
        super().__init__(f"L1 asks for a {noun} of {needed} wei, the cap is {limit}: wait, or raise the cap")
        self.noun = noun
        self.limit = limit
        self.needed = needed


class TransactionPending(L1Error):
    """Sent and not included in time; the next call takes the same nonce, so that it cannot be included twice."""

    def __init__(self, transaction_hash: bytes, nonce: int, seconds: float) -> None:
        super().__init__(
            f"transaction 0x{transaction_hash.hex()} (nonce {nonce}) is not included after {seconds:.0f} s; it "
            "still may be, and the next try replaces it: if this goes on, raise the fee caps"
        )
        self.transaction_hash = transaction_hash
        self.nonce = nonce


class TransactionRefused(L1Error):
    """The node takes no such transaction, whatever its fee: no funds, too large, or not of a kind that it knows."""

    def __init__(self, sender: bytes, reason: str) -> None:
        super().__init__(f"L1 does not take a transaction of 0x{sender.hex()}: {clip(reason)}")
        self.sender = sender
        self.reason = reason


class TransactionReverted(L1Error):
    """Included, and reverted, although the call before it went well: L1 changed in between. Nothing was settled."""

    def __init__(self, transaction_hash: bytes) -> None:
        super().__init__(f"transaction 0x{transaction_hash.hex()} was included and reverted; look at L1 and try again")
        self.transaction_hash = transaction_hash


UNANSWERED = (L1Unreachable, L1Throttled, L1BadAnswer)
"""After these nothing is known of what was asked, or of what became of what was sent."""


def clip(text: str) -> str:
    """A text from outside, bounded and printable, for an error."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: _MAX_SHOWN + 1])
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "..."
