"""The explorer's pages of Keystore+: accounts and their balances, recoveries, names, fees."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, ZERO_BYTES32, Act, Column, Page, Part
from microrollup.chain.answers.pages import Tone

from ..transitions import Register, Update
from .money import EVERY_TOKEN
from .policies import DropPending, SetRecovery
from .queries import (
    account,
    accounts,
    balances,
    delegates,
    deposits,
    fills,
    find_name,
    guardian_policies,
    guardians,
    held,
    holders,
    intents,
    mail_keys,
    named_accounts,
    orders,
    own_policies,
    own_recoveries,
    prices,
    recoveries,
    recoveries_of,
    recoveries_to_finish,
    recovery,
    spending_rules,
    sponsors,
    texts,
    tokens,
    updates_due,
    votes_due,
    withdrawals,
)
from .recovery import CancelRecovery, FinishRecovery, SupportRecovery
from .spending import NO_LIMIT
from .updates import AcceptUpdate, SetCareful

__all__ = ["PAGES"]

_NONE: Final = {f"0x{ZERO_BYTES32.hex()}": "", f"0x{ZERO_ADDRESS.hex()}": "", "0x": "", "0": ""}
_TOKENS: Final = {f"0x{ZERO_ADDRESS.hex()}": "ether", f"0x{EVERY_TOKEN.hex()}": "every other token"}
_TOKEN: Final = Column("token", words=_TOKENS)
_AMOUNT: Final = Column("amount", unit="token")
_TONES: Final[dict[str, Tone]] = {
    "active": "good", "in force": "good", "ready": "good", "supports": "good",
    "filled": "good", "recovering": "warn", "open": "warn", "due": "warn", "waiting": "warn", "announced": "warn",
    "nobody": "warn",
    "locked": "bad", "void": "bad", "cancels": "bad",
}  # fmt: skip
_STATE: Final = Column("state", form="state", tones=_TONES)
_KEY: Final = Column("key", "account", page="account")
_NAME: Final = Column("name", page="name", words={"": ""})

_PROPOSAL: Final = (
    Column("proposal", page="recovery"),
    Column("key", "account", page="account"),
    _NAME,
    _STATE,
    Column("supports", "votes", form="progress", of="threshold"),
    Column("until", "this state ends", form="time"),
    Column("mode"),
)

_UPDATED: Final = {"key": "key", "code_hash": "code_hash"}
_VOICE: Final = (
    Column("proposal", page="recovery"),
    _KEY,
    _NAME,
    _STATE,
    Column("supports", "votes", form="progress", of="threshold"),
    Column("cancels", "votes against", form="progress", of="cancels_needed"),
    Column("until", "this state ends", form="time"),
    Column("mode"),
    Column("vk", "next holder"),
)
_VOTE: Final = Column("vote", "your vote", form="state", words={"": ""}, tones=_TONES)
_SPOKEN: Final = {"proposal": "proposal", "guardian": "guardian"}

_KEYS: Final = Page(
    "keys",
    "Keys",
    (
        Part(
            held,
            "Your accounts",
            (_KEY, _NAME, _STATE, Column("code_hash"), Column("config_hash"), Column("careful")),
            (
                Act(Update, "Rotate keys", _UPDATED),
                Act(Update, "Hand over", {**_UPDATED, "config_hash": "config_hash"}),
                Act(SetRecovery, "Name guardians", {"key": "key"}),
                Act(SetCareful, "Be careful", {"key": "key"}),
            ),
        ),
        Part(
            updates_due,
            "Accounts that wait for you",
            (_KEY, _NAME, Column("code_hash"), Column("config_hash")),
            (Act(AcceptUpdate, "Accept", {"key": "key"}),),
        ),
        Part(own_recoveries, "Recoveries of your accounts", _VOICE, (Act(CancelRecovery, "Cancel", _SPOKEN),)),
        Part(
            own_policies,
            "Guardians of your accounts",
            (
                _KEY,
                _NAME,
                _STATE,
                Column("threshold", "votes needed"),
                Column("count", "guardians"),
                Column("mode"),
                Column("delay", form="duration"),
                Column("effective", "since", form="time", words=_NONE),
            ),
            (Act(DropPending, "Take back what is announced", {"key": "key"}),),
        ),
        Part(
            votes_due,
            "Recoveries in which you are a guardian",
            (*_VOICE, _VOTE),
            (Act(SupportRecovery, "Support", _SPOKEN), Act(CancelRecovery, "Take back, or vote against", _SPOKEN)),
        ),
        Part(
            recoveries_to_finish,
            "Recoveries that give you an account",
            _VOICE,
            (Act(FinishRecovery, "Finish", {"proposal": "proposal"}),),
        ),
    ),
    "What the connected wallet or passkey holds, guards and is about to get. Of a proposal, check the next holder with "
    "the account's owner before you support it. Under veto the owner alone cancels; under lock the guardians do. A "
    "one-time key signs once: it cannot accept or finish, and no page can tell it from a lasting one.",
    parameter="sender",
    of_signer=True,
    acts=(Act(Register, "Register an account"),),
)

PAGES: Final = (
    _KEYS,
    Page(
        "accounts",
        "Accounts",
        (
            Part(
                accounts,
                "All accounts",
                (_KEY, _NAME, Column("ether", form="ether"), _STATE, Column("vk", "held by")),
            ),
        ),
        "Every account by its key, with the ether that it has here. An account need not be registered to be paid.",
        finds="account",
    ),
    Page(
        "balances",
        "Balances",
        (
            Part(
                tokens,
                "Tokens",
                (
                    Column("token", page="token", words={f"0x{ZERO_ADDRESS.hex()}": "ether"}),
                    Column("deposited", "deposited ever", unit="token"),
                ),
            ),
            Part(holders, "Ether, the most first", (_KEY, _NAME, _AMOUNT)),
        ),
        "What was deposited in the vault on L1, and who has it now.",
        finds="token",
    ),
    Page(
        "recoveries",
        "Recoveries",
        (
            Part(recoveries, "Proposals", _PROPOSAL),
            Part(
                mail_keys,
                "Keys of mail providers",
                (
                    Column("domain"),
                    Column("selector"),
                    _STATE,
                    Column("valid_from", "from", form="time"),
                    Column("until", form="time"),
                    Column("key_hash"),
                ),
            ),
        ),
        "What guardians propose for accounts whose keys are lost or stolen, how many have voted, what time is left.",
        finds="recovery",
    ),
    Page(
        "names",
        "Names",
        (Part(named_accounts, "All names", (_NAME, _KEY, _STATE, Column("vk", "held by"))),),
        "Labels below the parent name in ENS, if the genesis has one. The account's key is the name's hash.",
        finds="name",
    ),
    Page(
        "fees",
        "Fees",
        (
            Part(
                prices,
                "Price of one action",
                (
                    _TOKEN,
                    Column("price", unit="token"),
                    Column("next", unit="token"),
                    Column("effective", "from", form="time", words=_NONE),
                    Column("cap", "at most, ever", unit="token"),
                ),
            ),
        ),
        "Where no token has a price, every action is free.",
    ),
    Page(
        "account",
        "Account",
        (
            Part(
                account,
                "Now",
                (
                    _STATE,
                    Column("name", page="name", words={"": ""}),
                    Column("key"),
                    Column("vk", "held by"),
                    Column("running", "recovery", page="recovery", words=_NONE),
                    Column("code_hash"),
                    Column("config_hash"),
                    Column("careful", words={"false": ""}),
                    Column("careful_until", "careful until", form="time", words=_NONE),
                    Column("next_vk", "update waits for", words=_NONE),
                    Column("fee_token", "pays fees in", words=_TOKENS),
                    Column("exit", "money leaves to", words=_NONE),
                    Column("recoveries", "recovered so often", words=_NONE),
                ),
            ),
            Part(balances, "Balances", (_TOKEN, _AMOUNT)),
            Part(
                recoveries_of, "Recoveries", tuple([each for each in _PROPOSAL if each.member not in ("key", "name")])
            ),
            Part(
                guardian_policies,
                "Guardians",
                (
                    _STATE,
                    Column("threshold", "votes needed"),
                    Column("count", "guardians"),
                    Column("mode"),
                    Column("delay", form="duration"),
                    Column("effective", "since", form="time", words=_NONE),
                ),
            ),
            Part(
                spending_rules,
                "Spending rules",
                (
                    _TOKEN,
                    _STATE,
                    Column("spent", form="progress", of="limit", unit="token", words={str(NO_LIMIT): "no limit"}),
                    Column("permitted", "besides", unit="token", words=_NONE),
                    Column("period", form="duration"),
                    Column("turns", "counts anew", form="time", words=_NONE),
                    Column("controller", page="account", words=_NONE),
                ),
            ),
            Part(texts, "Text records"),
            Part(
                delegates,
                "Delegates",
                (
                    Column("chain_id", "chain", words={"0": "every other"}),
                    _STATE,
                    Column("valid_until", "until", form="time", words=_NONE),
                    Column("code_hash", words=_NONE),
                    Column("config_hash", words=_NONE),
                ),
            ),
            Part(
                intents,
                "Intents",
                (
                    Column("slot"),
                    _STATE,
                    Column("chain_id", "chain"),
                    Column("account", "contract there"),
                    Column("user_op_hash", "operation"),
                    Column("valid_until", "until", form="time"),
                ),
            ),
            Part(
                withdrawals,
                "Withdrawals",
                (Column("nonce", "number"), _TOKEN, _AMOUNT, Column("to"), Column("withdrawal", "id")),
            ),
            Part(deposits, "Deposits", (Column("deposit", "number"), _TOKEN, _AMOUNT)),
            Part(
                orders,
                "Orders to other chains",
                (
                    _STATE,
                    _TOKEN,
                    _AMOUNT,
                    Column("chain_id", "chain"),
                    Column("fill_deadline", "to be filled until", form="time"),
                    Column("order"),
                ),
            ),
            Part(
                fills,
                "Paid by fillers of other chains' orders",
                (
                    Column("order"),
                    Column("filler_key", "filler", page="account"),
                    _TOKEN,
                    _AMOUNT,
                    Column("time", form="time"),
                ),
            ),
            Part(
                sponsors,
                "Sponsors",
                (
                    Column("sponsor", page="account"),
                    _STATE,
                    _TOKEN,
                    Column("budget", unit="token"),
                    Column("until", form="time"),
                ),
            ),
        ),
        parameter="key",
    ),
    Page(
        "token",
        "Token",
        (Part(holders, "Who has it, the most first", (_KEY, _NAME, _AMOUNT)),),
        parameter="token",
    ),
    Page(
        "recovery",
        "Recovery",
        (
            Part(
                recovery,
                "Proposal",
                (
                    _STATE,
                    Column("supports", "votes", form="progress", of="threshold"),
                    Column("until", "this state ends", form="time"),
                    Column("key", "account", page="account"),
                    _NAME,
                    Column("mode"),
                    Column("cancels", "votes against", form="progress", of="cancels_needed"),
                    Column("count", "guardians"),
                    Column("started", form="time"),
                    Column("vk", "next holder"),
                    Column("code_hash"),
                    Column("config_hash"),
                ),
            ),
            Part(
                guardians,
                "Guardians",
                (
                    Column("place"),
                    Column("kind"),
                    Column("vote", form="state", words={"": ""}, tones=_TONES),
                    Column("id"),
                ),
            ),
        ),
        "Open to votes for seven days; then it waits for the policy's delay; then the next holder has 30 days.",
        parameter="proposal",
    ),
    Page(
        "name",
        "Name",
        (Part(find_name, "Name", (_STATE, Column("name"), _KEY, Column("vk", "held by"))),),
        parameter="name",
    ),
)
