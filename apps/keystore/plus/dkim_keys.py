"""The keys of mail providers, as the collector announces them: the rollup cannot look into DNS."""

from __future__ import annotations

from typing import Final

from microrollup import Action, Bytes32, Context, Event, Revert, Uint64, replace, require

from .authority import require_authority
from .clock import DAY, add_seconds
from .mail_fields import is_domain, is_selector
from .policy import DkimKey
from .state import Plus

__all__ = [
    "KEY_NOTICE",
    "MAX_DKIM_KEYS",
    "MAX_KEY_TIME",
    "AddDkimKey",
    "DkimKeyAdded",
    "DkimKeyRevoked",
    "RevokeDkimKey",
    "add_dkim_key",
    "require_dkim_key",
    "revoke_dkim_key",
]

KEY_NOTICE: Final = 7 * DAY
"""From the announcement of a key until it counts: time to see that it is the provider's."""
MAX_KEY_TIME: Final = 730 * DAY
"""From its first second to its last."""
MAX_DKIM_KEYS: Final = 4_096


class AddDkimKey(Action, frozen=True):
    """The collector announces a key under `selector._domainkey.domain`."""

    domain: str
    """In lower case."""
    selector: str
    """In lower case."""
    key_hash: Bytes32
    """keccak256 of the public key as in DNS (`p=`), after base64."""
    from_: Uint64
    """A week from now or later."""
    until: Uint64
    """Last second, two years later at most."""


class RevokeDkimKey(Action, frozen=True):
    """The collector withdraws a key, at once."""

    key_hash: Bytes32


class DkimKeyAdded(Event, frozen=True):
    """A key will count in a week or later; until then anybody can compare it with DNS."""

    domain: str
    selector: str
    key_hash: Bytes32
    from_: Uint64
    until: Uint64


class DkimKeyRevoked(Event, frozen=True):
    """A key counts no more."""

    key_hash: Bytes32


def add_dkim_key(state: Plus, action: AddDkimKey, ctx: Context) -> Plus:
    """A week ahead, for two years at most. One that is known is revoked first, so that none is turned to a domain."""
    require_authority(state, state.config.collector, ctx)
    keys = state.recovery.dkim_keys
    require(is_domain(action.domain.encode()), "domain is not two labels or more in lower case")
    require(is_selector(action.selector.encode()), "selector is not labels in lower case")
    require(action.from_ >= add_seconds(ctx, KEY_NOTICE), "a key is announced a week ahead")
    require(action.from_ <= action.until <= action.from_ + MAX_KEY_TIME, "a key counts for two years at most")
    require(action.key_hash not in keys, "key is known")
    require(len(keys) < MAX_DKIM_KEYS, "too many keys; revoke those that are over")
    ctx.emit(DkimKeyAdded(action.domain, action.selector, action.key_hash, action.from_, action.until))
    key = DkimKey(action.domain, action.selector, action.from_, action.until)
    return replace(state, recovery=replace(state.recovery, dkim_keys=keys.set(action.key_hash, key)))


def revoke_dkim_key(state: Plus, action: RevokeDkimKey, ctx: Context) -> Plus:
    """Votes that were cast stay."""
    require_authority(state, state.config.collector, ctx)
    keys = state.recovery.dkim_keys
    require(action.key_hash in keys, "no such key")
    ctx.emit(DkimKeyRevoked(action.key_hash))
    return replace(state, recovery=replace(state.recovery, dkim_keys=keys.delete(action.key_hash)))


def require_dkim_key(state: Plus, domain: str, selector: str, key_hash: bytes, now: int) -> None:
    """Reject a mail whose key is not in force for its domain and selector."""
    key = state.recovery.dkim_keys.get(key_hash)
    if key is None:
        raise Revert("the mail's key is not known")
    require((key.domain, key.selector) == (domain, selector), "the mail's key is another domain's or selector's")
    require(key.from_ <= now <= key.until, "the mail's key is not in force")
