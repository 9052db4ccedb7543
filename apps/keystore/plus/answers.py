"""What queries of Keystore+ answer. Times are seconds of block timestamps; amounts are in a token's smallest units."""

from __future__ import annotations

from msgspec import Struct

from microrollup import Address, Bytes, Bytes32, Uint8, Uint16, Uint64, Uint256

__all__ = [
    "AccountAnswer",
    "AccountEntry",
    "AccountPage",
    "DelegateAnswer",
    "DepositAnswer",
    "DepositPage",
    "GuardianAnswer",
    "HolderAnswer",
    "HolderPage",
    "HoldingAnswer",
    "HoldingPage",
    "IntentAnswer",
    "IntentPage",
    "MailKeyAnswer",
    "NameEntry",
    "NamePage",
    "PolicyAnswer",
    "PriceAnswer",
    "ProposalAnswer",
    "ProposalPage",
    "RuleAnswer",
    "SponsorshipAnswer",
    "TextAnswer",
    "TextPage",
    "TokenAnswer",
    "WithdrawalAnswer",
    "WithdrawalPage",
]


class AccountAnswer(Struct, frozen=True):
    """An account, and what its authority has to wait for."""

    key: Bytes32
    name: str
    """Its label below the parent name; empty: none."""
    vk: Bytes
    code_hash: Bytes32
    config_hash: Bytes32
    state: str
    """`active`; `recovering` while a proposal runs under veto; `locked`."""
    running: Bytes32
    """The proposal that runs; zero: none."""
    careful: bool
    """Whether updates wait for the next vk."""
    careful_until: Uint64
    """When that ends; 0: it does not, or is not so."""
    next_vk: Bytes
    """Of an update that waits for it; empty: none waits."""
    fee_token: Address
    exit: Address
    """Who may take the money if the vault freezes, as of now; zero: the vk."""
    recoveries: Uint64
    """Recoveries that were finished."""


class AccountEntry(Struct, frozen=True):
    """An account in a list."""

    key: Bytes32
    name: str
    vk: Bytes
    ether: Uint256
    """Wei."""
    state: str


class AccountPage(Struct, frozen=True):
    """Accounts in the order of their keys."""

    items: list[AccountEntry]
    next: Bytes32 | None
    """To go on after; null at the end."""


class HoldingAnswer(Struct, frozen=True):
    """What an account has of a token."""

    token: Address
    """Zero: ether."""
    amount: Uint256


class HoldingPage(Struct, frozen=True):
    """Balances of an account, ether first, then tokens in order."""

    items: list[HoldingAnswer]
    next: Address | None


class HolderAnswer(Struct, frozen=True):
    """An account that has some of a token."""

    key: Bytes32
    name: str
    amount: Uint256
    token: Address


class HolderPage(Struct, frozen=True):
    """Accounts by what they have of a token, the most first."""

    items: list[HolderAnswer]
    next: tuple[Uint256, Bytes32] | None


class TokenAnswer(Struct, frozen=True):
    """A token that was deposited."""

    token: Address
    """Zero: ether."""
    deposited: Uint256
    """All deposits ever."""


class WithdrawalAnswer(Struct, frozen=True):
    """Money that left for L1; whether it was claimed, only L1 knows."""

    nonce: Uint256
    withdrawal: Bytes32
    token: Address
    to: Address
    amount: Uint256


class WithdrawalPage(Struct, frozen=True):
    """Withdrawals of an account, the newest first."""

    items: list[WithdrawalAnswer]
    next: Uint64 | None


class DepositAnswer(Struct, frozen=True):
    """A deposit that was credited."""

    deposit: Uint64
    """The vault's number."""
    token: Address | None
    """Null where this node does not know it, since its history begins later; `amount` as well."""
    amount: Uint256 | None


class DepositPage(Struct, frozen=True):
    """Deposits of an account in order."""

    items: list[DepositAnswer]
    next: Uint64 | None


class RuleAnswer(Struct, frozen=True):
    """How much may leave, in force or announced."""

    token: Address
    """20 bytes of 0xff: every token without a rule of its own."""
    state: str
    """`in force` or `announced`."""
    limit: Uint256
    spent: Uint256
    """In this period; 0 for a rule of every token, which counts each one apart."""
    permitted: Uint256
    """What a controller lets leave besides, now."""
    period: Uint64
    """Seconds."""
    turns: Uint64
    """When the count begins anew."""
    since: Uint64
    controller: Bytes32
    """Zero: none."""


class GuardianAnswer(Struct, frozen=True):
    """A guardian of a proposal, and its voice."""

    place: Uint8
    kind: str
    """`sender`, `account` or `e-mail`."""
    id: Bytes
    """20 bytes of a sender, else 32."""
    vote: str
    """`supports`, `cancels` or empty."""


class PolicyAnswer(Struct, frozen=True):
    """Who may recover an account, and how."""

    state: str
    """`in force` or `announced`."""
    threshold: Uint8
    count: Uint8
    mode: str
    """`veto` or `lock`."""
    delay: Uint64
    """Seconds."""
    effective: Uint64
    """0: in force for longer than is known."""
    number: Uint64
    guardians_hash: Bytes32


class ProposalAnswer(Struct, frozen=True):
    """A recovery that guardians propose."""

    proposal: Bytes32
    key: Bytes32
    name: str
    """The account's label; empty: none."""
    state: str
    """`open` to votes; `waiting` after its threshold; `ready` to be finished; `lapsed`."""
    supports: Uint8
    threshold: Uint8
    count: Uint8
    cancels: Uint8
    cancels_needed: Uint8
    """1 under veto, where the owner alone may."""
    mode: str
    """`veto` or `lock`."""
    started: Uint64
    until: Uint64
    """When this state ends by itself."""
    vk: Address
    """The next one, which finishes the recovery itself."""
    code_hash: Bytes32
    config_hash: Bytes32


class ProposalPage(Struct, frozen=True):
    """Proposals, the newest first."""

    items: list[ProposalAnswer]
    next: tuple[Uint64, Bytes32] | None


class MailKeyAnswer(Struct, frozen=True):
    """A key of a mail provider, by which guardians' mails are checked."""

    domain: str
    selector: str
    state: str
    """`announced`, `in force` or `expired`."""
    valid_from: Uint64
    until: Uint64
    key_hash: Bytes32


class NameEntry(Struct, frozen=True):
    """A name and its account."""

    name: str
    key: Bytes32
    vk: Bytes
    state: str


class NamePage(Struct, frozen=True):
    """Names in the order of their letters, shorter ones first."""

    items: list[NameEntry]
    next: str | None


class TextAnswer(Struct, frozen=True):
    """A text record."""

    name: str
    value: str


class TextPage(Struct, frozen=True):
    """Text records of an account by name."""

    items: list[TextAnswer]
    next: str | None


class DelegateAnswer(Struct, frozen=True):
    """A second configuration of an account."""

    chain_id: Uint64
    """0: every chain without an entry of its own."""
    state: str
    """`in force`, `nobody` (the entry forbids it there), `expired`, or `void` since the account changed."""
    code_hash: Bytes32
    config_hash: Bytes32
    valid_until: Uint64


class IntentAnswer(Struct, frozen=True):
    """One operation on another chain."""

    slot: Uint16
    state: str
    """`in force`, `expired`, or `void` since the account changed. Whether it was used, only that chain knows."""
    chain_id: Uint64
    account: Address
    user_op_hash: Bytes32
    valid_after: Uint64
    valid_until: Uint64


class IntentPage(Struct, frozen=True):
    """Intents of an account by slot."""

    items: list[IntentAnswer]
    next: Uint16 | None


class PriceAnswer(Struct, frozen=True):
    """What one action costs in a token."""

    token: Address
    price: Uint256
    """Now."""
    next: Uint256
    """Announced; the same if nothing is."""
    effective: Uint64
    """Second from which `next` holds; 0: nothing is announced."""
    cap: Uint256
    """For ever."""


class SponsorshipAnswer(Struct, frozen=True):
    """What another account pays for."""

    sponsor: Bytes32
    token: Address
    budget: Uint256
    """What is left."""
    until: Uint64
    state: str
    """`in force`, `expired`, or `void` since the sponsor changed."""
