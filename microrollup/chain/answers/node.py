"""What a node says of its rollup and of itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from microrollup.chain.answers.confirmations import Divergent, Heights, Level
from microrollup.chain.answers.standing import BlobsStatus, ReplicationStatus, SettlingStatus
from microrollup.chain.record import DomainConfig
from microrollup.primitives import Address, Bytes, Bytes32, Uint64

__all__ = [
    "ActionConfig",
    "CodeAnswer",
    "EnvelopeConfig",
    "EventConfig",
    "FieldConfig",
    "FollowerStatus",
    "IndexProgress",
    "L1Status",
    "NodeConfig",
    "StatusAnswer",
    "TypesObject",
    "VerifierStatus",
]

TypesObject: TypeAlias = Annotated[dict[str, Any], Meta(description="the `types` of EIP-712, without the domain's")]


class ActionConfig(Struct, frozen=True):
    """An action type as the node serves it."""

    name: str
    type_string: str
    """EIP-712's `encodeType`."""
    type_hash: Bytes32
    types: TypesObject
    """EIP-712's types, as wallets take them: the action's and those of the structs in it."""


class EventConfig(Struct, frozen=True):
    """An event that the app may emit."""

    name: str
    types: TypesObject
    """As an action's, without a nonce: its members in the order of its bytes, and the structs in it."""


class EnvelopeConfig(Struct, frozen=True):
    """An envelope of the app's own, in which actions come without a signature of the kernel's schemes."""

    name: str
    actions: tuple[str, ...]
    """What may come in it."""
    types: TypesObject
    """Of these, as an event's: without a nonce."""


class FieldConfig(Struct, frozen=True):
    """A field of the state."""

    name: str
    kind: Literal["map", "scalar"]
    settled: bool
    """Part of the state root, which L1 gets; else metadata."""
    number: Uint64
    """Of a settled field the silo of its keys in the tree; kept by all later versions of the app."""
    key_type: str | None
    """Null for a scalar field."""
    value_type: str

    @property
    def is_map(self) -> bool:
        """Whether it has keys."""
        return self.kind == "map"


class NodeConfig(Struct, frozen=True):
    """What the rollup is, and all that a client needs to know before it signs or believes anything."""

    name: str
    version: str
    rollup_id: Bytes32
    genesis_hash: Bytes32
    stf_id: Bytes32
    l1_chain_id: Uint64
    inbox: Address
    """On that L1: acknowledgements and attestations are signed for it. Zero with the local settlement."""
    builder: Address
    """Seals blocks and signs acknowledgements."""
    verifiers: tuple[Bytes, ...]
    """Who attests: 20-byte addresses, or 96-byte BLS keys."""
    quorum: Uint64
    domain: DomainConfig
    """Under which actions are signed; its contract is the inbox, or zero."""
    types: TypesObject
    """Of all actions."""
    actions: tuple[ActionConfig, ...]
    fields: tuple[FieldConfig, ...]
    """In declared order."""
    events: tuple[EventConfig, ...]
    """By name."""
    block_time: float
    """Seconds after which an open block is closed."""
    block_size: Uint64
    """Actions with which it is closed."""
    limits: Annotated[dict[str, Any], Meta(description="of calls, answers and subscriptions, by name")]
    confirmations: tuple[Level, ...]
    """The levels that there are."""
    envelopes: tuple[EnvelopeConfig, ...] = ()
    """By name."""

    def get_action(self, name: str) -> ActionConfig | None:
        """The action type of a name."""
        return next((action for action in self.actions if action.name == name), None)

    def get_silo(self, name: str) -> int | None:
        """The number of a settled field; None if it is not settled, or unknown."""
        return next((field.number for field in self.fields if field.settled and field.name == name), None)


class CodeAnswer(Struct, frozen=True):
    """The manifest of a code."""

    stf_id: Bytes32
    """keccak256 of `manifest`."""
    manifest: Bytes
    """Canonical msgpack."""


class L1Status(Struct, frozen=True):
    """Where the node stands on L1."""

    number: Uint64
    """Newest L1 block that counts."""
    origin: Uint64
    """The one that a block opened now would be bound to."""
    settled_in: Uint64
    """L1 block of the newest settled batch."""
    forced_queue: Uint64
    """Forced actions in the inbox."""
    forced_taken: Uint64


class VerifierStatus(Struct, frozen=True):
    """A verifier that the node runs."""

    address: str
    running: bool
    pid: Uint64 | None
    lost: Uint64
    """How often its process ended without having been told to."""


class IndexProgress(Struct, frozen=True):
    """How far one of the app's indexes is."""

    name: str
    reached: Uint64 | None
    """The newest height that it has; null while it has none."""
    rows: Uint64
    """Its entries then."""
    failure: str | None
    """Why it stopped there; null while it goes on."""


class FollowerStatus(Struct, frozen=True):
    """How a node stands to the one that it follows."""

    source: str
    """The address that it takes blocks from and passes actions on to, without what the URL may hold of keys."""
    head: Uint64
    """The newest height that the source, or who that follows, is known to have."""
    lag_blocks: Uint64
    """Blocks that this node lacks of it."""
    lag_seconds: float
    """Since when it has not been known to be level; 0 while it is."""
    reason: str | None
    """Why nothing more comes, while nothing does: the source is away or contradicts, L1 is."""
    refused: Divergent | None
    """What of the source's blocks is wrong; they are not taken, and tried again now and then."""
    path: tuple[str, ...] = ()
    """The instances from the source on to the one that builds."""


class StatusAnswer(Struct, frozen=True):
    """How the node is."""

    intake: Literal["open", "stopped", "none"]
    """None: actions come by another way than this node, and it derives blocks as it should."""
    reason: str | None
    """Why intake is stopped, or why no more blocks are derived."""
    divergence: Divergent | None
    acknowledged: Uint64
    """Actions that are durable: the next sequence number."""
    height: Heights
    l1: L1Status
    queue_depth: Uint64
    """Actions taken and not yet decided."""
    uptime: float
    """Seconds."""
    memory: Uint64
    """Resident bytes of the process."""
    verifiers: tuple[VerifierStatus, ...]
    subscribers: Uint64
    indexes: tuple[IndexProgress, ...] = ()
    """Those of the app, by name. One whose `reached` is below `height.latest` is being filled."""
    instance: str = ""
    """Tells this process from any other."""
    follower: FollowerStatus | None = None
    """Of a node that follows another; null for one that builds."""
    native: str = ""
    """Whether hashes and senders are computed in the compiled helper, as in `native (avx512)`, or in Python, with the
    reason, as in `pure (not built)`. The bytes are the same.
    """
    settling: SettlingStatus | None = None
    disk_free: Uint64 | None = None
    """Bytes that are free where the data directory is; null until it was looked at."""
    blobs: BlobsStatus | None = None
    """Null where there are none."""
    replication: ReplicationStatus | None = None
    """Null unless the node is a member of a replicated log."""
