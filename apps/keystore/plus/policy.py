"""What a recovery consists of: guardians, the policy that binds them, proposals, votes, locks."""

from __future__ import annotations

from msgspec import Struct

from microrollup import ZERO_BYTES32, Address, Bytes, Bytes32, Uint8, Uint64

__all__ = ["DkimKey", "Guardian", "Lock", "MailVote", "PendingPolicy", "Policy", "RecoveryProposal", "Standing", "Vote"]


class Guardian(Struct, frozen=True):
    """One of those who may recover an account."""

    kind: Uint8
    """0: a sender. 1: an account of this keystore, whose authority votes. 2: an e-mail address."""
    id: Bytes32
    """12 zero bytes and the sender; the account's key; keccak256(salt || address in lower case)."""


class Policy(Struct, frozen=True):
    """Who may recover an account, and how."""

    guardians_hash: Bytes32
    """`keccak256(abi.encode(bytes32 salt, Guardian[]))`: guardians stay private until a proposal names them."""
    count: Uint8
    threshold: Uint8
    delay: Uint64
    """Seconds from the threshold until the proposal may be finished, and until a change of this policy holds."""
    mode: Uint8
    """0: the owner may cancel until it is finished. 1: the account is locked from the threshold on."""
    number: Uint64
    """Counts the policies of an account, from 1."""


class PendingPolicy(Struct, frozen=True):
    """A policy that is not in force yet."""

    policy: Policy
    effective: Uint64
    """Seconds."""


class Vote(Struct, frozen=True):
    """A guardian's voice. No guardian and no sender has two for one proposal."""

    guardian: Uint8
    """Place in the proposal's list; 255: the owner, who may only cancel."""
    sender: Address


class MailVote(Struct, frozen=True):
    """That a mail has voted for a proposal, once and for all: the same mail again, or another one, does not."""

    guardian: Uint8
    """Place in the proposal's list."""
    address_hash: Bytes32
    """keccak256 of the address: it has one vote, however many guardians it is."""
    signed: Uint64
    """Second at which the mail was signed; 0: it does not say."""


class RecoveryProposal(Struct, frozen=True):
    """An account as guardians want it to be."""

    key: Bytes32
    code_hash: Bytes32
    config_hash: Bytes32
    vk: Address
    """It finishes the proposal itself: a proposal with a mistake in it does nothing."""
    policy: Policy
    """As it was in force when the proposal was made."""
    guardians: tuple[Guardian, ...]
    started: Uint64
    """Seconds."""
    reached: Uint64
    """When the threshold was reached; 0: it is not."""
    generation: Uint64
    """How many recoveries of the account had been finished: a finished one ends all others."""
    supports: tuple[Vote, ...]
    cancels: tuple[Vote, ...]
    mails: tuple[MailVote, ...] = ()
    """Never taken back, wherever the votes went that they cast."""


class Standing(Struct, frozen=True):
    """How an account stands with its guardians."""

    policies: Uint64 = 0
    """How many there have been."""
    proposals: Uint64 = 0
    finished: Uint64 = 0
    """How many recoveries were finished."""
    epoch: Uint64 = 0
    """Counts finished recoveries and executed updates: what was promised in an earlier epoch is void."""
    running: Bytes32 = ZERO_BYTES32
    """The proposal that has reached its threshold; zero: none."""


class Lock(Struct, frozen=True):
    """A locked account."""

    proposal: Bytes32
    data: Bytes
    """The account's data, which comes back if the recovery is cancelled."""


class DkimKey(Struct, frozen=True):
    """A key that a mail provider signs with, as the collector vouches."""

    domain: str
    selector: str
    from_: Uint64
    """Second from which it counts."""
    until: Uint64
    """Last second."""
