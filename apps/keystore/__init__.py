"""The keystore: one place for the keys of smart accounts on all chains."""

from apps.keystore.accounts import Keystore
from apps.keystore.transitions import register, update
from microrollup import MicroRollup

__all__ = ["app"]

app = MicroRollup(name="keystore", version="1", genesis=Keystore(), stfs=[register, update])
