"""Evidence: what a builder or a verifier signed, put together so that anybody can judge it offline.

Three kinds, each one canonical msgpack array that begins with its name and version:

* `seals`: two sealed headers of one rollup, height and round with different hashes. The builder who sealed both
  equivocates: an honest rebuild counts its rounds.
* `attestations`: two attestations of one key for batches that end at one height in different blocks. The verifier
  equivocates, unless L1 was reorganised so deep that both were honest, which cannot be seen offline.
* `challenge`: a signed acknowledgement beside what the settled history holds in its place: the promise was kept, is
  open, or is broken.

Nothing is slashed on chain. What evidence is worth depends on what its reader knows from elsewhere, which each verdict
says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from microrollup.chain.acknowledgement import SignedAcknowledgement, compute_receipt_hash, recover_operator
from microrollup.chain.block import Header, compute_block_hash, recover_sealer
from microrollup.chain.receipt_proof import MAX_RECEIPT_BYTES, InboxDomain, decode_receipt
from microrollup.chain.record import Seal
from microrollup.codec.canonical import decode_canonical, encode_canonical
from microrollup.crypto.merkle.items import ItemProof, verify_item
from microrollup.errors import ForeignRollup, ProofError, WrongBlock, WrongOperator
from microrollup.primitives import MAX_ACTION_BYTES
from microrollup.settlement.attestation import BatchAttestation, SignedAttestation, recover_attester
from microrollup.settlement.errors import MalleableSignature
from microrollup.settlement.quorum_errors import FalseShare

__all__ = [
    "MAX_EVIDENCE_BYTES",
    "MAX_HEADERS",
    "Attestations",
    "Attested",
    "Challenge",
    "Evidence",
    "SettledEntry",
    "KnownFacts",
    "SealedHeader",
    "Seals",
    "Judged",
    "decode_evidence",
    "encode_evidence",
    "find_equivocation",
    "judge",
]

MAX_HEADERS: Final = 20_000
"""From an acknowledged action's block to the settled one."""

MAX_EVIDENCE_BYTES: Final = 16 << 20

_UNKNOWN_ROLLUP: Final = "that this is the rollup you mean: name its id"
_UNKNOWN_BUILDER: Final = "that this address was the rollup's builder then: the inbox says so"
_VERSION: Final = 1


class SealedHeader(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A header and the seal on it."""

    header: Header
    seal: Seal


class Seals(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="seals"):
    """Two blocks of one height and round, sealed by one key."""

    version: Literal[1]
    first: SealedHeader
    second: SealedHeader


class Attested(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An attestation and a verifier's signature; see `SignedAttestation`."""

    attestation: BatchAttestation
    signature: Annotated[bytes, msgspec.Meta(min_length=48, max_length=65)]
    key: Annotated[bytes, msgspec.Meta(max_length=96)] = b""


class Attestations(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="attestations"):
    """Two batches that end at one height in different blocks, attested by one key."""

    version: Literal[1]
    domain: InboxDomain
    first: Attested
    second: Attested


class SettledEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the history holds at an acknowledged sequence number."""

    seal: Seal
    """Of the block; its round says whether the height was built again."""
    record: Annotated[bytes, msgspec.Meta(max_length=MAX_ACTION_BYTES)]
    record_path: ItemProof
    receipt: Annotated[bytes, msgspec.Meta(max_length=MAX_RECEIPT_BYTES)]
    """Canonical msgpack."""
    receipt_path: ItemProof


class Challenge(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="challenge"):
    """An acknowledgement, and the settled history from the block that holds its sequence number on."""

    version: Literal[1]
    domain: InboxDomain
    acknowledgement: SignedAcknowledgement
    headers: Annotated[tuple[Header, ...], msgspec.Meta(min_length=1, max_length=MAX_HEADERS)]
    """Each the parent of the next; the last is the settled one, and the only one while the promise is open."""
    found: SettledEntry | None
    """None while the sequence number lies beyond the settled block."""


Evidence: TypeAlias = Seals | Attestations | Challenge

_DECODER: Final = msgspec.msgpack.Decoder(Evidence)


class KnownFacts(msgspec.Struct, frozen=True):
    """What the reader knows from elsewhere; None for what is taken from the evidence, and then said to be unchecked."""

    rollup_id: bytes | None = None
    domain: InboxDomain | None = None
    signer: bytes | None = None
    """The 20-byte address of the builder or verifier, or a verifier's 96-byte BLS key."""
    settled_hash: bytes | None = None
    """32 bytes: the block that L1 settled, for a challenge."""


class Judged(msgspec.Struct, frozen=True):
    """What evidence shows."""

    outcome: Literal["equivocated", "honoured", "rebuilt", "open", "broken"]
    """`rebuilt`: another receipt, in a block that was announced as built again."""
    signer: bytes
    """Who signed what is judged: an address, or a verifier's 96-byte BLS key."""
    rollup_id: bytes
    height: int
    shown: str
    """In a sentence."""
    unchecked: tuple[str, ...]
    """What the reader has to know from elsewhere."""

    @property
    def convicts(self) -> bool:
        """Whether somebody broke his word."""
        return self.outcome in ("equivocated", "broken")


def encode_evidence(evidence: Evidence) -> bytes:
    """Its canonical bytes."""
    return encode_canonical(evidence)


def decode_evidence(raw: bytes) -> Evidence:
    """Evidence of its canonical bytes, at most `MAX_EVIDENCE_BYTES`; nothing is judged. Raises `DecodeError`."""
    return decode_canonical(_DECODER, raw, what="evidence", limit=MAX_EVIDENCE_BYTES)


def judge(evidence: Evidence, known: KnownFacts | None = None) -> Judged:
    """What evidence shows, everything in it checked.

    Raises `ProofError` and its kinds where it shows nothing, as for two seals of different rounds, and `WrongOperator`
    or `ForeignRollup` where it is about somebody else than the reader knows.
    """
    known = known or KnownFacts()
    match evidence:
        case Seals():
            return _judge_seals(evidence, known)
        case Attestations():
            return _judge_attestations(evidence, known)
        case Challenge():
            return _judge_challenge(evidence, known)


def find_equivocation(first: Sequence[SealedHeader], second: Sequence[SealedHeader]) -> Seals | None:
    """The first two seals that contradict each other in two histories of one rollup; None if there are none."""
    by_place = {(each.header.height, each.seal.round): each for each in first}
    for theirs in second:
        ours = by_place.get((theirs.header.height, theirs.seal.round))
        if ours is None or ours.header == theirs.header:
            continue
        pair = Seals(_VERSION, ours, theirs)
        try:
            _judge_seals(pair, KnownFacts())
        except (ProofError, ForeignRollup):
            continue
        return pair
    return None


def _judge_seals(evidence: Seals, known: KnownFacts) -> Judged:
    first, second = evidence.first, evidence.second
    ours, theirs = first.header, second.header
    _check_rollup(ours.rollup_id, theirs.rollup_id, known)
    if (ours.height, first.seal.round) != (theirs.height, second.seal.round):
        raise ProofError("the two seals are of different heights or rounds, which an honest builder may give")
    hashes = [compute_block_hash(each) for each in (ours, theirs)]
    if hashes[0] == hashes[1]:
        raise ProofError("both seals are of one block")
    sealers = [
        recover_sealer(block_hash, seal) for block_hash, seal in zip(hashes, (first.seal, second.seal), strict=True)
    ]
    signer = sealers[0]
    if signer is None or signer != sealers[1]:
        raise ProofError("the two seals are not of one key")
    unchecked = _require_signer(signer, known, _UNKNOWN_BUILDER)
    place = f"height {ours.height}, round {first.seal.round}"
    shown = f"sealed two blocks at {place}: {_hex(hashes[0])} and {_hex(hashes[1])}"
    return Judged("equivocated", signer, ours.rollup_id, ours.height, shown, _list(known, *unchecked))


def _judge_attestations(evidence: Attestations, known: KnownFacts) -> Judged:
    ours, theirs = evidence.first.attestation, evidence.second.attestation
    _check_rollup(ours.rollup_id, theirs.rollup_id, known)
    if ours.last_height != theirs.last_height:
        raise ProofError("the two attestations end at different heights")
    if ours.block_hash == theirs.block_hash:
        raise ProofError("both attestations are of one block")
    domain = _choose_domain(evidence.domain, known)
    signers = [_recover(each, domain) for each in (evidence.first, evidence.second)]
    if signers[0] != signers[1]:
        raise ProofError("the two attestations are not of one key, or of another inbox")
    unchecked = [
        *_require_signer(signers[0], known, "that this address was one of the rollup's verifiers: the inbox says so"),
        "that L1 was not reorganised between the two: then both may be honest",
    ]
    if known.domain is None:
        unchecked.append("that this is the rollup's inbox: name chain id and address")
    shown = f"attested two blocks at height {ours.last_height}: {_hex(ours.block_hash)} and {_hex(theirs.block_hash)}"
    return Judged("equivocated", signers[0], ours.rollup_id, ours.last_height, shown, _list(known, *unchecked))


def _recover(attested: Attested, domain: InboxDomain) -> bytes:
    """Whose attestation it is. Raises `ProofError` for a signature that is not valid."""
    signed = SignedAttestation(attested.attestation, attested.signature, attested.key)
    try:
        return recover_attester(signed, domain.chain_id, domain.verifying_contract)
    except (MalleableSignature, FalseShare) as error:
        raise ProofError(f"an attestation's signature is not valid: {error}") from None


def _judge_challenge(evidence: Challenge, known: KnownFacts) -> Judged:
    signed, headers = evidence.acknowledgement, evidence.headers
    words = signed.acknowledgement
    signer = _check_promise(evidence, known)
    _check_rollup(words.rollup_id, headers[0].rollup_id, known)
    settled = _check_chain(headers, known)
    unchecked = [*_require_signer(signer, known, _UNKNOWN_BUILDER)]
    if known.settled_hash is None:
        unchecked.append(f"that L1 settled block {_hex(settled)} at height {headers[-1].height}")
    if known.domain is None:
        unchecked.append("that this is the rollup's inbox: name chain id and address")
    block, found = headers[0], evidence.found

    def make(outcome: Literal["honoured", "rebuilt", "open", "broken"], shown: str) -> Judged:
        return Judged(outcome, signer, words.rollup_id, block.height, shown, _list(known, *unchecked))

    if words.seq >= headers[-1].first_seq + headers[-1].action_count:
        return make("open", f"promised seq {words.seq}, which lies beyond the settled block {headers[-1].height}")
    index = words.seq - block.first_seq
    if found is None or not 0 <= index < block.action_count:
        raise ProofError(f"the first header does not hold seq {words.seq}, or what it holds there is missing")
    for item, path, root in (
        (found.record, found.record_path, block.actions_root),
        (found.receipt, found.receipt_path, block.receipts_root),
    ):
        if path.index != index:
            raise ProofError(f"a path is of index {path.index}, and seq {words.seq} is at {index}")
        verify_item(root, item, path, count=block.action_count)
    receipt = decode_receipt(found.receipt)
    promised, place = f"action {_hex(words.action_hash)}", f"seq {words.seq} of block {block.height}"
    if receipt.action_hash != words.action_hash:
        return make("broken", f"promised {promised} at {place}: action {_hex(receipt.action_hash)} is there")
    if compute_receipt_hash(receipt) == words.receipt_hash:
        return make("honoured", f"promised {promised} and its receipt at {place}: both are there")
    sealer = recover_sealer(compute_block_hash(block), found.seal)
    if sealer != signer:
        raise ProofError("the block's seal is not of the key that acknowledged, so it tells no round of its")
    if found.seal.round > 0:
        return make("rebuilt", f"promised another receipt at {place}, which was built again: round {found.seal.round}")
    return make("broken", f"promised another receipt at {place}, which was not built again")


def _check_promise(evidence: Challenge, known: KnownFacts) -> bytes:
    """Who acknowledged. Raises `ProofError` if nobody did, or another receipt than the one that is shown."""
    signed = evidence.acknowledgement
    words, receipt = signed.acknowledgement, signed.receipt
    domain = _choose_domain(evidence.domain, known)
    signer = recover_operator(signed, chain_id=domain.chain_id, inbox=domain.verifying_contract)
    if signer is None:
        raise ProofError("the acknowledgement's signature is not valid")
    told = (words.seq, words.action_hash, words.receipt_hash)
    if told != (receipt.seq, receipt.action_hash, compute_receipt_hash(receipt)):
        raise ProofError("the acknowledgement is of another receipt than the one that comes with it")
    return signer


def _check_chain(headers: Sequence[Header], known: KnownFacts) -> bytes:
    """Each header must be the parent of the next, and the last the settled one; the settled block's hash."""
    hashes = [compute_block_hash(header) for header in headers]
    for header, parent_hash in zip(headers[1:], hashes[:-1], strict=True):
        if header.parent_hash != parent_hash:
            raise ProofError(f"the header of height {header.height} does not follow the one before it")
    if known.settled_hash not in (None, hashes[-1]):
        raise WrongBlock("the last header is not the settled one", expected=known.settled_hash or b"", found=hashes[-1])
    return hashes[-1]


def _check_rollup(first: bytes, second: bytes, known: KnownFacts) -> None:
    if first != second:
        raise ProofError("the two are of different rollups")
    if known.rollup_id not in (None, first):
        raise ForeignRollup(known.rollup_id or b"", first)


def _choose_domain(stated: InboxDomain, known: KnownFacts) -> InboxDomain:
    return stated if known.domain is None else known.domain


def _require_signer(signer: bytes, known: KnownFacts, unchecked: str) -> list[str]:
    """Raise `WrongOperator` if another is known; what is unchecked if none is."""
    if known.signer is None:
        return [unchecked]
    if known.signer != signer:
        raise WrongOperator(known.signer, signer)
    return []


def _list(known: KnownFacts, *unchecked: str) -> tuple[str, ...]:
    return (*unchecked, *([_UNKNOWN_ROLLUP] if known.rollup_id is None else []))


def _hex(raw: bytes) -> str:
    return f"0x{raw.hex()}"
