"""What can be asked of Keystore+: accounts, money, rules, recoveries, names, outbox, fees.

A list that may be long comes as `{items, next}`: give `next` as `after`, and get the next page. What is absent is
answered as an empty list; only an account, a proposal or a name that is asked for itself must be there.
"""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, ZERO_BYTES32, Address, Bytes32, Revert, Uint16, Uint64, Uint256, View, require

from ..axiom.rpc.indexes import axiom_blocks, axiom_leaves, axiom_queue
from ..indexes import accounts_by_vk
from .answers import (
    AccountAnswer,
    AccountEntry,
    AccountPage,
    DelegateAnswer,
    DepositAnswer,
    DepositPage,
    GuardianAnswer,
    HolderAnswer,
    HolderPage,
    HoldingAnswer,
    HoldingPage,
    IntentPage,
    MailKeyAnswer,
    NameEntry,
    NamePage,
    PolicyAnswer,
    PriceAnswer,
    ProposalAnswer,
    ProposalPage,
    RuleAnswer,
    SponsorshipAnswer,
    TextAnswer,
    TextPage,
    TokenAnswer,
    WithdrawalAnswer,
    WithdrawalPage,
)
from .guardians import SENDER
from .indexes import (
    by_amount,
    deposits_of,
    fills_of,
    holdings,
    labels,
    names,
    orders_of,
    proposals_by_time,
    proposals_of,
    text_names,
    updates_by_vk,
    voices,
)
from .naming import compute_named_key, compute_text_key
from .order_queries import FillPage, OrderAnswer, OrderPage, list_fills, list_orders, show_order
from .own import list_held, list_own_policies, list_updates_due, list_voices
from .own_answers import DueUpdate, OwnPage, OwnPolicy, VoiceAnswer
from .prices import get_price
from .reading import find_label, get_shown_proposal, require_size, show_name, show_proposals, take
from .shown import (
    GUARDIAN_KINDS,
    IN_FORCE,
    describe_state,
    show_account,
    show_delegate,
    show_intent,
    show_policy,
    show_proposal,
    show_rule,
    show_sponsorship,
)
from .state import Plus
from .vault import compute_withdrawal_id

__all__ = [
    "account",
    "accounts",
    "accounts_by_vk",
    "axiom_blocks",
    "axiom_leaves",
    "axiom_queue",
    "balances",
    "delegates",
    "deposits",
    "fills",
    "fills_of",
    "find_name",
    "guardian_policies",
    "guardians",
    "held",
    "holders",
    "intents",
    "labels",
    "mail_keys",
    "named_accounts",
    "order",
    "orders",
    "orders_of",
    "own_policies",
    "own_recoveries",
    "prices",
    "recoveries",
    "recoveries_of",
    "recoveries_to_finish",
    "recovery",
    "spending_rules",
    "sponsors",
    "texts",
    "tokens",
    "updates_by_vk",
    "updates_due",
    "voices",
    "votes_due",
    "withdrawals",
]

_MAX_SPONSORS: Final = 100
_MAX_NONCES: Final = 1_000
"""That a page of withdrawals goes over."""


# Accounts


def account(view: View[Plus], key: Bytes32) -> AccountAnswer:
    """An account, and what its authority has to wait for."""
    found = view.state.keystore.accounts.get(key)
    if found is None:
        raise Revert("no such account")
    return show_account(view.state, key, found, find_label(view, key), view.timestamp)


def accounts(view: View[Plus], after: Bytes32 = ZERO_BYTES32, limit: Uint16 = 25) -> AccountPage:
    """All accounts, in the order of their keys."""
    state = view.state
    keys, more = take(state.keystore.accounts.keys(start=after), require_size(limit), after)
    items = [
        AccountEntry(
            key,
            find_label(view, key),
            state.keystore.accounts[key].vk,
            state.vault.balances.get(key, 0),
            describe_state(state, key, view.timestamp),
        )
        for key in keys
    ]
    return AccountPage(items, keys[-1] if more else None)


# What concerns a sender


def held(view: View[Plus], sender: Address, after: Bytes32 = ZERO_BYTES32, limit: Uint16 = 25) -> OwnPage:
    """The accounts that a sender may change, with what an `Update` of each begins with."""
    return list_held(view, sender, after, require_size(limit))


def updates_due(view: View[Plus], sender: Address) -> list[DueUpdate]:
    """Updates of careful accounts that wait until this sender accepts them."""
    return list_updates_due(view, sender)


def own_policies(view: View[Plus], sender: Address) -> list[OwnPolicy]:
    """Who may recover the accounts that a sender may change, in force and announced."""
    return list_own_policies(view, sender)


def own_recoveries(view: View[Plus], sender: Address) -> list[VoiceAnswer]:
    """The proposals for the accounts that a sender may change: the owner's place is 255."""
    return list_voices(view, sender, "owner")


def votes_due(view: View[Plus], sender: Address) -> list[VoiceAnswer]:
    """The proposals on which a sender has a guardian's voice, its own or that of an account of it."""
    return list_voices(view, sender, "guardian")


def recoveries_to_finish(view: View[Plus], sender: Address) -> list[VoiceAnswer]:
    """The proposals whose next holder a sender is."""
    return list_voices(view, sender, "next")


# Money


def balances(view: View[Plus], key: Bytes32, after: Address = ZERO_ADDRESS, limit: Uint16 = 50) -> HoldingPage:
    """What an account has: ether first, then the tokens that it has ever had. It need not be registered."""
    rows = view.index(holdings)
    found, more = take(rows.keys(prefix=(key,), start=(key, after)), require_size(limit), (key, after))
    items = [HoldingAnswer(place[1], rows[place]) for place in found]
    following = items[-1].token if more else None
    if after == ZERO_ADDRESS and key in view.state.vault.balances:
        items = [HoldingAnswer(ZERO_ADDRESS, view.state.vault.balances[key]), *items]
    return HoldingPage(items, following)


def holders(
    view: View[Plus],
    token: Address = ZERO_ADDRESS,
    after: tuple[Uint256, Bytes32] = (2**256 - 1, b"\xff" * 32),
    limit: Uint16 = 25,
) -> HolderPage:
    """Who has most of a token; of ether by default."""
    rows = view.index(by_amount).keys(prefix=(token,), stop=(token, *after), reverse=True)
    found, more = take(rows, require_size(limit))
    items = [HolderAnswer(key, find_label(view, key), amount, token) for _, amount, key in found]
    return HolderPage(items, (items[-1].amount, items[-1].key) if more else None)


def tokens(view: View[Plus], limit: Uint16 = 100) -> list[TokenAnswer]:
    """Tokens that were ever deposited, ether among them, and how much in all."""
    credited = view.state.vault.credited
    found, _ = take(credited.keys(), require_size(limit))
    return [TokenAnswer(token, credited[token]) for token in found]


def withdrawals(view: View[Plus], key: Bytes32, after: Uint64 = 2**64 - 1, limit: Uint16 = 25) -> WithdrawalPage:
    """Money that an account sent to L1, the newest first.

    Updates of Axiom's format take numbers too. A page goes over 1,000 numbers at most, so it may be empty and have a
    next one.
    """
    vault, size = view.state.vault, require_size(limit)
    items: list[WithdrawalAnswer] = []
    nonce = min(vault.axiom_nonces.get(key, 0), after)
    least = max(0, nonce - _MAX_NONCES)
    while nonce > least and len(items) < size:
        nonce -= 1
        number = compute_withdrawal_id(key, nonce)
        ether, tokens = vault.withdrawals.get(number), vault.token_withdrawals.get(number)
        if ether is not None:
            items.append(WithdrawalAnswer(nonce, number, ZERO_ADDRESS, ether.to, ether.amount))
        elif tokens is not None:
            items.append(WithdrawalAnswer(nonce, number, tokens.token, tokens.to, tokens.amount))
    return WithdrawalPage(items, nonce if nonce > 0 else None)


def deposits(view: View[Plus], key: Bytes32, after: Uint64 = 0, limit: Uint16 = 25) -> DepositPage:
    """The vault's numbers of an account's deposits, in order."""
    rows = view.index(deposits_of)
    found, more = take(rows.keys(prefix=(key,), start=(key, after)), require_size(limit), (key, after))
    items = []
    for place in found:
        token, amount = rows[place]
        items.append(DepositAnswer(place[1], token if amount else None, amount or None))
    return DepositPage(items, items[-1].deposit if more else None)


def order(view: View[Plus], order: Bytes32) -> OrderAnswer:
    """An order out of the keystore."""
    return show_order(view, order)


def orders(
    view: View[Plus], key: Bytes32, after: tuple[Uint64, Bytes32] = (2**64 - 1, b"\xff" * 32), limit: Uint16 = 25
) -> OrderPage:
    """Orders out of an account, the latest deadline first."""
    return list_orders(view, key, after, require_size(limit))


def fills(view: View[Plus], key: Bytes32, after: Bytes32 = ZERO_BYTES32, limit: Uint16 = 25) -> FillPage:
    """Fills of other chains' orders that paid an account."""
    return list_fills(view, key, after, require_size(limit))


def spending_rules(view: View[Plus], key: Bytes32) -> list[RuleAnswer]:
    """How much of each token may leave an account."""
    rules = view.state.spending.rules.get(key, ())
    return [shown for rule in rules for shown in show_rule(view.state, key, rule, view.timestamp)]


# Recovery


def guardian_policies(view: View[Plus], key: Bytes32) -> list[PolicyAnswer]:
    """The policy of an account's guardians, and one that is announced."""
    recovery, now = view.state.recovery, view.timestamp
    present, pending = recovery.policies.get(key), recovery.pending_policies.get(key)
    shown = [] if pending is None else [show_policy(pending.policy, pending.effective, now)]
    if present is not None and (pending is None or now < pending.effective):
        shown = [show_policy(present, 0, now), *shown]
    return shown


def recovery(view: View[Plus], proposal: Bytes32) -> ProposalAnswer:
    """A proposal, with its state and its votes."""
    value = get_shown_proposal(view, proposal)
    return show_proposal(view.state, proposal, value, find_label(view, value.key), view.timestamp)


def guardians(view: View[Plus], proposal: Bytes32) -> list[GuardianAnswer]:
    """The guardians that a proposal names, and how each of them has voted."""
    value = get_shown_proposal(view, proposal)
    votes = {vote.guardian: "supports" for vote in value.supports}
    votes |= {vote.guardian: "cancels" for vote in value.cancels}
    return [
        GuardianAnswer(
            place,
            GUARDIAN_KINDS[guardian.kind],
            guardian.id[12:] if guardian.kind == SENDER else guardian.id,
            votes.get(place, ""),
        )
        for place, guardian in enumerate(value.guardians)
    ]


def mail_keys(view: View[Plus], limit: Uint16 = 100) -> list[MailKeyAnswer]:
    """Keys of mail providers, by which guardians' mails are checked: compare announced ones with DNS."""
    found, _ = take(view.state.recovery.dkim_keys.items(), require_size(limit))
    shown = []
    for key_hash, key in found:
        word = "announced" if view.timestamp < key.from_ else IN_FORCE if view.timestamp <= key.until else "expired"
        shown.append(MailKeyAnswer(key.domain, key.selector, word, key.from_, key.until, key_hash))
    return shown


def recoveries(
    view: View[Plus], after: tuple[Uint64, Bytes32] = (2**64 - 1, b"\xff" * 32), limit: Uint16 = 25
) -> ProposalPage:
    """All proposals that are not finished or cancelled, the newest first."""
    rows = view.index(proposals_by_time).keys(stop=after, reverse=True)
    found, more = take(rows, require_size(limit), after)
    return ProposalPage(show_proposals(view, [proposal for _, proposal in found]), found[-1] if more else None)


def recoveries_of(view: View[Plus], key: Bytes32) -> list[ProposalAnswer]:
    """The proposals for one account, the newest first: each guardian has one at most."""
    rows = view.index(proposals_of).keys(prefix=(key,), reverse=True)
    return show_proposals(view, [proposal for _, _, proposal in rows])


# Names


def named_accounts(view: View[Plus], after: str = "", limit: Uint16 = 25) -> NamePage:
    """All names, shorter ones first."""
    rows = view.index(names)
    found, more = take(rows.keys(start=after), require_size(limit), after)
    return NamePage([show_name(view, label, rows[label]) for label in found], found[-1] if more else None)


def find_name(view: View[Plus], name: str) -> NameEntry:
    """The account of a name: its label below the parent name."""
    key = compute_named_key(view.state.config.parent_node, name)
    require(view.state.config.parent_node != ZERO_BYTES32, "this rollup has no names")
    require(key in view.state.keystore.accounts, "nobody has registered this name")
    return show_name(view, name, key)


def texts(view: View[Plus], key: Bytes32, after: str = "", limit: Uint16 = 64) -> TextPage:
    """The text records of an account, shorter names first."""
    rows = view.index(text_names).keys(prefix=(key,), start=(key, after))
    found, more = take(rows, require_size(limit), (key, after))
    items = [TextAnswer(name, view.state.texts.texts[compute_text_key(key, name)]) for _, name in found]
    return TextPage(items, items[-1].name if more else None)


# Other chains


def delegates(view: View[Plus], key: Bytes32, limit: Uint16 = 100) -> list[DelegateAnswer]:
    """Second configurations of an account, by chain; 0 stands for every chain without an entry of its own."""
    state, now = view.state, view.timestamp
    found, _ = take(state.outbox.delegates.items(prefix=(key,)), require_size(limit))
    return [show_delegate(state, key, chain_id, each, now) for (_, chain_id), each in found]


def intents(view: View[Plus], key: Bytes32, after: Uint16 = 2**16 - 1, limit: Uint16 = 25) -> IntentPage:
    """Operations that an account lets pass on other chains, the highest slot first."""
    state, now = view.state, view.timestamp
    rows = state.outbox.intents.items(prefix=(key,), stop=(key, after), reverse=True)
    found, more = take(rows, require_size(limit))
    items = [show_intent(state, key, slot, each, now) for (_, slot), each in found]
    return IntentPage(items, items[-1].slot if more else None)


# Fees


def prices(view: View[Plus]) -> list[PriceAnswer]:
    """What one action costs, by token; an empty list where all are free."""
    caps, shown = {each.token: each.cap for each in view.state.config.price_caps}, []
    for token in view.state.fees.prices:
        price = view.state.fees.prices[token]
        announced = price.effective if price.effective > view.timestamp else 0
        now = get_price(price, view.timestamp)
        shown.append(PriceAnswer(token, now, price.next if announced else now, announced, caps.get(token, 0)))
    return shown


def sponsors(view: View[Plus], key: Bytes32) -> list[SponsorshipAnswer]:
    """Who pays for an account's actions. With a key of zero: who pays for any account's, once each."""
    found, _ = take(view.state.fees.sponsorships.items(prefix=(key,)), _MAX_SPONSORS)
    return [show_sponsorship(view.state, sponsor, each, view.timestamp) for (_, sponsor), each in found]
