"""What the settlement contract suite needs of a backend, and the made-up blocks that it settles.

An inbox sees last headers and data, never inside of blocks; so these blocks are empty and their roots are arbitrary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from coincurve import PrivateKey

from microrollup.chain.block import Block, Header, compute_rollup_id
from microrollup.chain.record import GENESIS_FORMAT, DomainConfig, Genesis, Open, Seal
from microrollup.crypto.bls_shares import BlsKey
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.attestation import (
    BatchAttestation,
    SignedAttestation,
    create_attestation,
    sign_attestation,
)
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.protocol import Inbox

__all__ = [
    "BUILDER",
    "OWNER",
    "STF_ID",
    "VERIFIER_KEYS",
    "Proposal",
    "SettlementHarness",
    "attest",
    "extend",
    "make_genesis",
    "make_key",
    "propose",
]


class SettlementHarness(Protocol):
    """A backend under test, on an L1 of its own that moves only as told."""

    def create_inbox(self, genesis: Genesis, owner: bytes) -> Inbox:
        """A new inbox of that genesis for the code `STF_ID`, owned by the 20-byte `owner`, at a place of its own."""
        ...

    def reopen_inbox(self, inbox: Inbox) -> Inbox:
        """Close it and open it again, as a new process would."""
        ...

    def get_start(self) -> tuple[int, int]:
        """Number and time of an L1 block before any inbox is created."""
        ...

    def advance_to(self, inbox: Inbox, number: int) -> None:
        """Let L1 pass until `inbox.get_number()` is `number`."""


def make_key(name: str) -> PrivateKey:
    """A key that everybody knows, for tests."""
    return load_private_key(keccak256(name.encode()))


VERIFIER_KEYS: Final = tuple(sorted([make_key(f"verifier {i}") for i in range(3)], key=compute_address))
"""Three verifiers in the order of their addresses; two are the quorum."""

BUILDER: Final = compute_address(make_key("builder"))
OWNER: Final = compute_address(make_key("owner"))
STF_ID: Final = keccak256(b"stf")


def make_genesis(number: int, time: int) -> Genesis:
    """A genesis whose L1 start is block `number`, at `time` seconds."""
    return Genesis(
        format=GENESIS_FORMAT,
        name="contract suite",
        l1_chain_id=31337,
        genesis_time=time,
        state_root=keccak256(b"genesis state"),
        metadata_root=keccak256(b"genesis metadata"),
        builder=BUILDER,
        verifiers=tuple([compute_address(key) for key in VERIFIER_KEYS]),
        quorum=2,
        l1_start=number,
        salt=keccak256(b"salt"),
        domain=DomainConfig("contract suite", "1", 31337, ZERO_ADDRESS),
    )


class Proposal(msgspec.Struct, frozen=True):
    """A batch with all that it takes to settle it."""

    batch: bytes
    header: Header
    attestation: BatchAttestation
    attestations: tuple[SignedAttestation, ...]


def extend(inbox: Inbox, **changes: int | bytes) -> Header:
    """A header that an inbox would take now on top of what is settled, with `changes` to its members.

    That of a based rollup takes an entry of the queue, which is put there if there is none.
    """
    settled = inbox.get_settled()
    taken = settled.forced_count
    if inbox.get_genesis().is_based:
        taken += 1
        if inbox.get_forced_count(inbox.get_number()) < taken:
            inbox.force(b"", sender=OWNER)
    number = inbox.get_number()
    header = Header(
        rollup_id=compute_rollup_id(inbox.get_genesis()),
        height=settled.height + 1,
        parent_hash=settled.block_hash,
        timestamp=inbox.get_time(number - 1),
        stf_id=STF_ID,
        l1_origin=number - 1,
        forced_count=taken,
        forced_hash=inbox.get_queue_hash(taken),
        first_seq=settled.height,
        action_count=0,
        actions_root=bytes(32),
        receipts_root=bytes(32),
        state_root=keccak256(b"state" + settled.block_hash),
        metadata_root=keccak256(b"metadata" + settled.block_hash),
    )
    return msgspec.structs.replace(header, **changes)


def propose(inbox: Inbox, *headers: Header, keys: Sequence[PrivateKey] = VERIFIER_KEYS[:2]) -> Proposal:
    """The batch of these headers' empty blocks, attested with `keys`; a based rollup publishes none."""
    blocks = [_make_block(header) for header in headers]
    batch = b"" if inbox.get_genesis().is_based else encode_batch(headers[0].rollup_id, blocks)
    settled = inbox.get_settled()
    data_hash = inbox.compute_data_hash(batch)
    attestation = create_attestation(settled.block_hash, settled.height + 1, headers[-1], data_hash)
    return Proposal(batch, headers[-1], attestation, attest(inbox, attestation, keys))


def _make_block(header: Header) -> Block:
    opened = Open(header.height, header.timestamp, header.l1_origin, header.stf_id)
    return Block(header, opened, (), Seal(0, bytes(65), "made up"))


def attest(
    inbox: Inbox, attestation: BatchAttestation, keys: Sequence[PrivateKey | BlsKey] = VERIFIER_KEYS[:2]
) -> tuple[SignedAttestation, ...]:
    """The attestation signed with each key, for this inbox on its chain."""
    chain_id = inbox.get_genesis().l1_chain_id
    return tuple([sign_attestation(key, attestation, chain_id, inbox.get_inbox()) for key in keys])
