"""A Keystore+ with a collector, for nodes that tests start: `recovery_app:app`."""

from __future__ import annotations

from apps.keystore.accounts import compute_account_key
from apps.keystore.plus.config import Config
from apps.keystore.plus.rollup import make_app
from kernel_fixtures import make_key
from microrollup.crypto.ecdsa import compute_address
from plus_world import CODE, CONFIG, SALT

COLLECTOR = make_key("collector")


def compute_key(sender: bytes) -> bytes:
    """The key of an account that `Register(CODE, CONFIG, SALT)` makes."""
    return compute_account_key(SALT, CODE + CONFIG, sender)


app = make_app(Config(collector=compute_key(compute_address(COLLECTOR))))
