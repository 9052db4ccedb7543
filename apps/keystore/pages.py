"""The keystore's page in the explorer: the accounts of whoever is connected, and what may be done with them."""

from __future__ import annotations

from typing import Final

from microrollup import Act, Column, Page, Part
from microrollup.chain.answers.pages import Tone

from .chains.methods import chains_of, explain_operation
from .methods import revocations
from .queries import held
from .smart_account.changes import PUBLISHED_VALIDATORS
from .smart_account.configuration import load_code_hash
from .transitions import Register, Update

__all__ = ["PAGES"]

_VALIDATORS: Final = {f"0x{load_code_hash(name).hex()}": name for name in PUBLISHED_VALIDATORS}
_CHAIN_TONES: Final[dict[str, Tone]] = {
    "current": "good", "ready": "good", "push": "warn", "older": "warn", "no root": "warn", "ahead": "warn",
    "unknown": "warn", "not read": "warn", "no answer": "bad", "no book": "bad", "unsound": "bad", "wrong code": "bad",
    "other root": "bad",
}  # fmt: skip
_SAME: Final = {"key": "key", "code_hash": "code_hash"}

PAGES: Final = (
    Page(
        "keys",
        "Keys",
        (
            Part(
                held,
                "Accounts",
                (
                    Column("key", "account"),
                    Column("code_hash", "validator", words=_VALIDATORS),
                    Column("config_hash", "configuration"),
                ),
                (
                    Act(Update, "Rotate keys", _SAME),
                    Act(Update, "Hand over", {**_SAME, "config_hash": "config_hash"}),
                ),
            ),
            Part(
                chains_of,
                "On other chains",
                (
                    Column("key", "account"),
                    Column("chain"),
                    Column("state", form="state", tones=_CHAIN_TONES),
                    Column("detail", "that is"),
                    Column("height", "newest block there"),
                    Column("settled", "settled", form="time"),
                    Column("copied", "account's block"),
                    Column("until", "believed until", form="time"),
                    Column("seen", "asked", form="time", words={"0": ""}),
                ),
            ),
        ),
        "Accounts that the connected wallet or passkey may change. To rotate or revoke keys of an account, give it the "
        "hash of a configuration without them; to hand it over, name another holder as its vk.",
        parameter="sender",
        of_signer=True,
        acts=(Act(Register, "Register an account"),),
    ),
    Page(
        "explain",
        "Explain",
        (
            Part(
                explain_operation,
                "What refuses it",
                (
                    Column("chain", words={"": "any"}),
                    Column("cause", form="state", tones={"taken": "good"}),
                    Column("what", "that is"),
                    Column("remedy", "what to do next"),
                ),
            ),
        ),
        "Why an account does not take an operation: bundlers and the entry point say AA24 for all of it. The node asks "
        "the chains that its operator names; nothing is sent.",
        fields={"text": "The signed operation, as JSON, or the error's data, as hex digits"},
    ),
    Page(
        "revoke",
        "Revoke a key",
        (
            Part(
                revocations,
                "Keys of this configuration",
                (
                    Column("signer", "key"),
                    Column("outcome", "revoking it"),
                    Column("key", "account"),
                    Column("code_hash", "validator", words=_VALIDATORS),
                ),
                (Act(Update, "Revoke", {**_SAME, "config_hash": "config_hash", "vk": "vk"}),),
            ),
        ),
        "An update replaces an account's configuration as a whole: a key is revoked by a configuration without it. The "
        "keystore holds hashes only, so the present configuration comes from the wallet. The vk, who may change the "
        "account, is revoked by handing the account over.",
        parameter="sender",
        fields={"configuration": "Present configuration, in hex digits"},
        of_signer=True,
    ),
)
