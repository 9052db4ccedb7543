"""Support by mail: what a guardian of kind 2 can do, and all that it can."""

from __future__ import annotations

from typing import Final

from microrollup import ZERO_ADDRESS, Context, replace, require
from microrollup.crypto.keccak import keccak256

from .clock import HOUR
from .dkim import SupportByMail
from .dkim_keys import require_dkim_key
from .guardians import MAIL, compute_guardian_hash
from .policy import Guardian, MailVote
from .proposals import put_proposal
from .state import Plus
from .votes import cast_vote, require_open

__all__ = ["CLOCK_SKEW", "compute_mail_id", "support_by_mail"]

CLOCK_SKEW: Final = HOUR
"""How far ahead of the block a mail may be signed: blocks may be behind the clocks of the world."""


def compute_mail_id(salt: bytes, address: str) -> bytes:
    """The id of a guardian of kind 2: `keccak256(salt(32) || address)`, the address in lower case."""
    return keccak256(salt + address.encode())


def support_by_mail(state: Plus, action: SupportByMail, ctx: Context) -> Plus:
    """Once per proposal, guardian and address, so a mail that comes again moves no vote back."""
    require(action.signed <= ctx.timestamp + CLOCK_SKEW, "the mail is signed in the future")
    require(ctx.timestamp <= action.expires, "the mail's signature has expired")
    require_dkim_key(state, action.domain, action.selector, action.key_hash, ctx.timestamp)
    state, value = require_open(state, action.proposal, ctx)
    guardian = Guardian(MAIL, compute_mail_id(action.salt, action.address))
    require(guardian in value.guardians, "address is not a guardian")
    place, address_hash = value.guardians.index(guardian), keccak256(action.address.encode())
    require(all(mail.guardian != place for mail in value.mails), "this guardian has voted by mail")
    require(all(mail.address_hash != address_hash for mail in value.mails), "address has voted as another guardian")
    _require_newer(state, value.key, guardian, action.signed)
    value = replace(value, mails=(*value.mails, MailVote(place, address_hash, action.signed)))
    return cast_vote(put_proposal(state, action.proposal, value), action.proposal, place, ZERO_ADDRESS, ctx)


def _require_newer(state: Plus, key: bytes, guardian: Guardian, signed: int) -> None:
    """Reject a mail that is older than the one by which the guardian's vote stands where it stands: somebody has kept
    it back.
    """
    standing = state.recovery.votes.get((key, compute_guardian_hash(guardian)))
    value = None if standing is None else state.recovery.proposals.get(standing)
    if value is not None:
        for mail in value.mails:
            newer = value.guardians[mail.guardian] == guardian and mail.signed > signed
            require(not newer, "a newer mail of this guardian has voted")
