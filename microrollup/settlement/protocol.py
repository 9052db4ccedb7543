"""What a settlement backend does, and the view of L1 that builders and verifiers read; synchronous, thread-free.

Every backend passes `microrollup.testing.settlement_suite`. Block numbers and times are L1's. Answers about numbers
below `get_number()` are final up to reorgs, which `poll_reorgs` reports; so an L1 origin is always a past number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from microrollup.chain.block import Header, compute_block_hash
from microrollup.chain.record import Forced, Genesis
from microrollup.primitives import Bytes32, Uint64
from microrollup.settlement.attestation import BatchAttestation, SignedAttestation
from microrollup.settlement.forced import ForcedEntry
from microrollup.settlement.payer import Payments
from microrollup.settlement.quorum import BatchProof
from microrollup.settlement.verifiers import VerifierSet

__all__ = [
    "ANNOUNCED_KINDS",
    "Announced",
    "AnnouncedKind",
    "AnnouncementKind",
    "Inbox",
    "L1Look",
    "L1View",
    "Reorg",
    "SettledBatch",
    "SettledHead",
    "Settlement",
    "to_settled_head",
]


AnnouncementKind: TypeAlias = Literal["verifiers", "builder", "code"]
"""What an owner may cancel before it takes effect."""

AnnouncedKind: TypeAlias = Literal[AnnouncementKind, "owner"]
"""What an owner may announce, voids apart."""

ANNOUNCED_KINDS: Final[tuple[AnnouncedKind, ...]] = ("verifiers", "builder", "code", "owner")


class Announced(msgspec.Struct, frozen=True):
    """What an owner has announced and is not in force yet."""

    kind: AnnouncedKind
    effective: int
    """L1 block from which it is in force."""
    value: bytes | VerifierSet
    """The 20-byte builder or owner, the 32-byte id of the code, or the set with its keys."""


class SettledHead(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The inbox's cursor: the last settled block, as far as the inbox remembers it. At first, the genesis."""

    height: Uint64
    block_hash: Bytes32
    state_root: Bytes32
    timestamp: Uint64
    """The block's, in seconds."""
    forced_count: Uint64
    l1_origin: Uint64
    l1_number: Uint64
    """L1 block in which it was settled; for the genesis, in which the inbox was created."""


def to_settled_head(header: Header, number: int) -> SettledHead:
    """What an inbox remembers of a block that was settled (or, for the genesis, created) in an L1 block."""
    return SettledHead(
        height=header.height,
        block_hash=compute_block_hash(header),
        state_root=header.state_root,
        timestamp=header.timestamp,
        forced_count=header.forced_count,
        l1_origin=header.l1_origin,
        l1_number=number,
    )


class SettledBatch(msgspec.Struct, frozen=True):
    """A batch that the inbox took, as L1 and DA together give it back."""

    first_height: int
    header: Header
    """Of the batch's last block."""
    batch: bytes
    attestation: BatchAttestation
    """What its verifiers signed."""
    signatures: bytes
    """What the inbox took as their signatures (see `microrollup.settlement.quorum`)."""
    l1_number: int
    """L1 block in which it was settled."""
    submitter: bytes
    """20-byte address."""


class Reorg(msgspec.Struct, frozen=True):
    """L1 replaced its blocks from `l1_number` on; what is settled now is `head`."""

    l1_number: int
    head: SettledHead


class L1Look(msgspec.Struct, frozen=True):
    """What L1 says to a block that binds to one of its past blocks, the origin: all of one moment."""

    number: int
    """The current L1 block number, as of `L1View.get_number`."""
    now: int
    """The time of that block in seconds."""
    time: int
    """The time of the origin in seconds."""
    builder: bytes
    """The 20-byte address that seals blocks as of the origin."""
    stf_id: bytes
    """The 32-byte id of the code that executes blocks as of the origin."""
    forced: tuple[Forced, ...]
    """The entries that the block opens with: what is due at the origin and not taken yet, oldest first, at most
    `MAX_FORCED_PER_BLOCK`, each with its void as of the origin."""
    code_since: int = 0
    """The L1 block from which that code is in force; 0 for the one that the inbox was created with."""


class L1View(Protocol):
    """What a verifier or builder must know of L1. Reads only."""

    def get_inbox(self) -> bytes:
        """The inbox's 20-byte address, the `verifyingContract` of attestations; zero for the local settlement."""
        ...

    def get_number(self) -> int:
        """The current L1 block number: the one in which a transaction sent now would be. Never goes back."""
        ...

    def get_origin(self) -> int:
        """The newest L1 block that a new block may bind to: a past one, below which this view expects no reorg."""
        ...

    def get_time(self, number: int) -> int:
        """The time of an L1 block in seconds. Raises `BadOrigin` for one after the current."""
        ...

    def look(self, origin: int, forced_count: int) -> L1Look:
        """All that a block must know of L1 which binds to block `origin` after `forced_count` entries were taken.

        Raises `BadOrigin` unless the origin is a past block.
        """
        ...

    def get_genesis(self) -> Genesis:
        """The genesis preimage that the inbox was created with."""
        ...

    def get_stf_id(self, number: int) -> bytes:
        """The 32-byte id of the code that is in force for blocks with this L1 origin."""
        ...

    def get_code_since(self, number: int) -> int:
        """The L1 block from which that code is in force; 0 for the one that the inbox was created with."""
        ...

    def get_owner(self, number: int) -> bytes:
        """The 20-byte address that owns the inbox as of an L1 block."""
        ...

    def get_builder(self, number: int) -> bytes:
        """The 20-byte address that builds and submits as of an L1 block."""
        ...

    def get_verifiers(self, number: int) -> VerifierSet:
        """The verifier set as of an L1 block."""
        ...

    def list_announced(self) -> list[Announced]:
        """What is announced and not in force in the block that is to come, in the order of those from which it is."""
        ...

    def get_forced_count(self, up_to_block: int) -> int:
        """How many forced actions the queue held at the end of an L1 block."""
        ...

    def get_forced_entries(self, first_index: int, up_to_block: int, limit: int) -> list[ForcedEntry]:
        """The entries from `first_index` on that L1 included up to a block, in order, at most `limit`."""
        ...

    def get_queue_hash(self, index: int) -> bytes:
        """`queueHash[index]`: the 32-byte hash over the first `index` entries. Raises `UnknownEntry`."""
        ...

    def is_voided(self, index: int, l1_origin: int) -> bool:
        """Whether the owner's void of an existing entry has taken effect at an L1 origin. Raises `UnknownEntry`."""
        ...

    def get_max_batch_bytes(self) -> int:
        """How long a batch should be at most, compressed; a single block may be longer, up to `MAX_BATCH_BYTES`."""
        ...

    def compute_data_hash(self, batch: bytes) -> bytes:
        """The 32-byte `dataHash` under which a batch is published here, as calldata or in blobs: what is attested."""
        ...

    def get_settled(self) -> SettledHead:
        """The last settled block."""
        ...

    def get_settled_at(self, height: int) -> SettledBatch | None:
        """The settled batch that holds this height; `None` for the genesis and for what is not settled."""


class Settlement(L1View, Protocol):
    """A backend that also publishes and settles."""

    def settle(
        self,
        batch: bytes,
        last_header: Header,
        attestations: Sequence[SignedAttestation],
        *,
        submitter: bytes,
        proofs: Sequence[BatchProof] = (),
    ) -> SettledHead:
        """Publish a batch and settle it, in one transaction, or raise the `SettlementError` of the broken rule.

        `submitter` is the sender's 20-byte address; `proofs` are for the rules of the verifiers' set, in their order.
        After a crash, `get_settled` says whether it was taken.
        """
        ...

    def get_confirmations(self, height: int) -> int | None:
        """How many L1 blocks deep the batch with this height is settled, 0 in the current one; `None` if it is not.

        For height 0, how deep the inbox's creation is.
        """

    def poll_reorgs(self) -> list[Reorg]:
        """The reorgs of L1 since the last call that changed what this view had told."""
        ...

    @property
    def payments(self) -> Payments | None:
        """What settling costs, and who pays; `None` where it costs nothing and L1 is the clock."""

    def close(self) -> None:
        """Let go of files and connections; every later call fails. Closing twice does no harm."""


class Inbox(Settlement, Protocol):
    """What users and the owner do on L1. The owner's changes take effect `CHANGE_DELAY_BLOCKS` after their event.

    What an owner announces after it has announced another owner never comes into force (see `CHANGE_DELAY_BLOCKS`).
    """

    def find_page(self, address: bytes) -> tuple[bytes, ...] | None:
        """The 96-byte keys of the registered page with a 20-byte address."""
        ...

    def force(self, payload: bytes, *, sender: bytes) -> int:
        """Append an action to the queue as the 20-byte `sender`; returns its index. Raises `PayloadTooLarge`."""
        ...

    def void(self, index: int, *, caller: bytes) -> int:
        """Void an existing entry of the queue; returns the L1 block from which it is.

        That is `compute_void_block`'s. Blocks whose L1 origin has reached that number take the entry without executing
        it, unless another owner took office after the void was announced and up to that number. Raises `NotOwner`,
        `UnknownEntry` or `AlreadyVoided`.
        """
        ...

    def cancel_void(self, index: int, *, caller: bytes) -> int:
        """Take a void back; returns the L1 block from which it would have been one.

        Raises `NotOwner`, `UnknownEntry`, `NothingPending` or `CancelledTooLate`.
        """
        ...

    def cancel(self, kind: AnnouncementKind, *, caller: bytes) -> int:
        """Take the newest change of a kind back; returns the L1 block from which it would have held.

        Raises `NotOwner`, `NothingPending` or `CancelledTooLate`. A change of the owner cannot be taken back: a thief
        of its key would stop the rescue.
        """
        ...

    def change_verifiers(self, verifiers: VerifierSet, *, caller: bytes) -> int:
        """Announce another verifier set; returns the L1 block from which it holds.

        Raises `NotOwner`, `BadQuorum` or `UnknownPage`; where no proof can be verified, `ExternalVerifiers`.
        """
        ...

    def register_keys(self, keys: Sequence[bytes], proofs: Sequence[bytes], *, sender: bytes) -> bytes:
        """Keep a page of BLS keys for verifier sets, 96 bytes each in `sort_keys`'s order; returns its 20-byte address.

        `proofs` are their proofs of possession, 48 bytes each; `sender` pays. Raises `WrongKeysLength` or `BadKey`.
        """
        ...

    def change_builder(self, builder: bytes, *, caller: bytes) -> int:
        """Announce another builder; returns the L1 block from which it holds. Raises `NotOwner` or `ZeroBuilder`."""
        ...

    def announce_code(self, stf_id: bytes, *, caller: bytes) -> int:
        """Announce the code with a 32-byte id; returns the L1 origin from which blocks are to be executed by it.

        Raises `NotOwner` or `ZeroCode`.
        """
        ...

    def change_owner(self, owner: bytes, *, caller: bytes) -> int:
        """Announce another owner, zero for nobody ever; returns the L1 block from which it holds. Raises `NotOwner`."""
        ...
