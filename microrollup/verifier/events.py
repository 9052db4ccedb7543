"""What passes between the verifier's process and its starter, as JSON lines."""

from __future__ import annotations

from typing import Final, Self

import msgspec

from microrollup.codec.schema import to_camel_case
from microrollup.errors import Divergence
from microrollup.replication.opening import ReplicaPlace
from microrollup.settlement.place import L1Place

__all__ = [
    "UNCHECKED_PROOFS",
    "DivergenceEvent",
    "ErrorEvent",
    "Report",
    "Tick",
    "VerifierEvent",
    "VerifierProgress",
    "VerifierRequest",
]

UNCHECKED_PROOFS: Final = "proofs"
"""What L1's contracts verify beside the verifiers' signatures: its node is believed."""


class VerifierRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to verify. Paths are absolute; the process works elsewhere."""

    app: str
    """`module:name`"""
    source: str | None
    """A file, a store, a node's address; None: what L1 settled, from L1 and its data alone."""
    directory: str
    """The verifier's own: its store and its table of signed heights."""
    python_path: list[str]
    """Where to look for the app's module."""
    l1: L1Place | None = None
    secret: str | None = None
    """The attesting key, 64 hex digits; passed on a pipe and never as an argument."""
    bls: bool = False
    """Whether that key is one of BLS12-381."""
    signer: str | None = None
    """The signer that holds it instead, `http://HOST:PORT#0xADDRESS`."""
    rollup_id: str | None = None
    """64 hex digits: verify this rollup or none."""
    workers: int | None = None
    signed: str | None = None
    """Where the table of signed heights is, if not in `directory`: it must outlive the store, as the key does."""
    replica: ReplicaPlace | None = None
    """The log in which the key's signed heights are noted as well, for a key that may sign on more than one machine."""
    follow: bool = False
    """Go on after the first report: a report for each `Tick` on standard input, until that ends."""
    once: bool = False
    """Execute each action, and open each envelope, once, not twice."""


class Tick(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """To a verifier that follows: look for new blocks, verify them, and attest."""

    last_height: int | None = None
    """Attest the batch of all that is not settled, up to this height; None for the batches that the source names."""
    attest: bool = True


class VerifierProgress(msgspec.Struct, frozen=True, rename="camel", tag="progress"):
    """A block was verified."""

    height: int
    tip: int
    """The last block that the source has, as it said before; 0 if it did not say, and while new ones are followed."""


class MissingCode(msgspec.Struct, frozen=True, rename="camel"):
    """An announced code that is not at hand."""

    stf_id: str
    since: int
    """The L1 block from which it is in force."""


class Report(msgspec.Struct, frozen=True, rename="camel", tag="report"):
    """Everything that there was is verified."""

    verified: int
    """Height of the newest verified block."""
    first: int
    """Height of the first block that was verified now; the ones below were before."""
    actions: int
    rollup_id: str
    block_hash: str
    state_root: str
    metadata_root: str
    attestations: list[msgspec.Raw]
    unchecked: list[str]
    """Rules that could not be checked without an L1 view."""
    once: bool = False
    """Each action was executed once only: an STF which keeps something between calls may have gone unnoticed."""
    waiting: int | None = None
    """Height of the first block that is not judged yet: L1 may still replace the L1 block that it is bound to."""
    missing: MissingCode | None = None
    """A code that is announced, and that the app here has no version of: the verifier will stop there."""
    header: str | None = None
    """Of a based rollup, the words of the header with which the attestation ends, 0x-hex: the inbox takes them."""


class DivergenceEvent(msgspec.Struct, frozen=True, rename="camel", tag="divergence"):
    """C2X: a block is not what re-execution gives."""

    height: int
    seq: int | None
    field: str
    """In camelCase, as headers are written in JSON."""
    expected: str
    found: str

    @classmethod
    def of(cls, error: Divergence) -> Self:
        """The event of an error."""
        return cls(error.height, error.seq, to_camel_case(error.field), _show(error.expected), _show(error.found))


class ErrorEvent(msgspec.Struct, frozen=True, rename="camel", tag="error"):
    """The verifier could not go on, which says nothing about the blocks."""

    kind: str
    message: str


VerifierEvent = VerifierProgress | Report | DivergenceEvent | ErrorEvent


def _show(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
