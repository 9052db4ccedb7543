"""The keystore's page in the explorer: the accounts of whoever is connected, and what may be done with them."""

from __future__ import annotations

from typing import Final

from microrollup import Act, Column, Page, Part

from .queries import held
from .smart_account.changes import PUBLISHED_VALIDATORS
from .smart_account.configuration import load_code_hash
from .transitions import Register, Update

__all__ = ["PAGES"]

_VALIDATORS: Final = {f"0x{load_code_hash(name).hex()}": name for name in PUBLISHED_VALIDATORS}
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
        ),
        "Accounts that the connected wallet or passkey may change. To rotate or revoke keys of an account, give it the "
        "hash of a configuration without them; to hand it over, name another holder as its vk.",
        parameter="sender",
        of_signer=True,
        acts=(Act(Register, "Register an account"),),
    ),
)
