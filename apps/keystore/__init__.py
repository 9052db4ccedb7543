"""The keystore: one place for the keys of smart accounts on all chains."""

from microrollup import MethodSet, MicroRollup

from .accounts import Keystore
from .transitions import register, update

__all__ = ["app"]

app = MicroRollup(
    name="keystore",
    version="1",
    genesis=Keystore(),
    stfs=[register, update],
    reads=f"{__package__}.queries",
    methods=f"{__package__}.methods",
    pages=f"{__package__}.pages",
    method_sets={"chains": MethodSet(f"{__package__}.chains.methods", namespace="keystore")},
)
