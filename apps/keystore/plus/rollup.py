"""The rollup: the state, its functions, and how to declare one with a configuration of its own."""

from __future__ import annotations

from microrollup import MethodSet, MicroRollup, replace

from ..axiom.envelope import AxiomEnvelope
from .axiom import axiom_update, axiom_withdraw
from .config import LOCAL_VAULT, Config
from .dkim import DkimMail
from .dkim_keys import add_dkim_key, revoke_dkim_key
from .exits import set_exit
from .fees import set_axiom_fee, set_fee_token, set_price, sponsor
from .mail_votes import support_by_mail
from .naming import commit_name, register_named, set_text
from .orders import end_order, fill, open_order
from .outbox import intend, set_delegate
from .policies import drop_pending_policy, set_recovery
from .recovery import cancel_recovery, finish_recovery, start_recovery, support_recovery
from .spending import permit_spending, set_spending_rule
from .state import Plus
from .updates import accept_update, register_account, set_careful, update_account
from .vault import deposit, freeze, transfer, withdraw

__all__ = ["app", "make_app"]

_KEYSTORE = str(__package__).rpartition(".")[0]


def make_app(config: Config, state: Plus | None = None) -> MicroRollup:
    """Keystore+ with this configuration, and with what `state` holds from the start. Both are part of the genesis, so
    of the rollup's id; the code is the same.
    """
    return MicroRollup(
        name="keystore-plus",
        version="1",
        genesis=replace(state or Plus(), config=config),
        stfs=[
            register_account, update_account, accept_update, set_careful,
            deposit, freeze, transfer, withdraw, set_exit,
            set_price, set_axiom_fee, set_fee_token, sponsor,
            set_spending_rule, permit_spending,
            set_recovery, drop_pending_policy, start_recovery, support_recovery, cancel_recovery, finish_recovery,
            add_dkim_key, revoke_dkim_key, support_by_mail,
            intend, set_delegate, commit_name, register_named, set_text,
            axiom_update, axiom_withdraw,
            fill, open_order, end_order,
        ],
        envelopes=[AxiomEnvelope, DkimMail],
        reads=f"{__package__}.queries",
        methods=f"{__package__}.gateway",
        admission=f"{__package__}.admission",
        pages=f"{__package__}.pages",
        method_sets={"axiom": MethodSet(f"{_KEYSTORE}.axiom.rpc.methods", namespace="keystore")},
    )  # fmt: skip


app = make_app(Config(vault=LOCAL_VAULT))
"""Without contracts on L1, fees or names; on a local settlement `python -m apps.keystore.plus fund` pays in."""
