"""microrollup: micro-rollups in Python. Declare a state, typed actions and pure state transition functions; get a
durable log of signed actions, blocks that others re-execute and attest, and proofs against a root that settles on L1.

Here stands what an app needs, and `Client` and `SyncClient`, which are loaded when they are first asked for; everything
else is imported from its own module.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from microrollup import primitives as _primitives
from microrollup.declaration.action import Action, Event
from microrollup.declaration.context import Context, Revert, require
from microrollup.declaration.envelope import Envelope, Opened
from microrollup.declaration.http_route import http_route
from microrollup.declaration.index import Index, IndexBlock, IndexView
from microrollup.declaration.map import Map
from microrollup.declaration.method_set import MethodSet
from microrollup.declaration.node_view import NodeView
from microrollup.declaration.page import Act, Column, Page, Part
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import State, leaf_value, metadata
from microrollup.declaration.upgrade import Upgrade
from microrollup.declaration.view import View
from microrollup.errors import MicrorollupError
from microrollup.primitives import *

if TYPE_CHECKING:
    from microrollup.client import Client as Client
    from microrollup.client import SyncClient as SyncClient

__all__ = [
    "Act",
    "Action",
    "Column",
    "Context",
    "Envelope",
    "Event",
    "Index",
    "IndexBlock",
    "IndexView",
    "Map",
    "MethodSet",
    "MicroRollup",
    "MicrorollupError",
    "NodeView",
    "Opened",
    "Page",
    "Part",
    "Revert",
    "State",
    "Upgrade",
    "View",
    "http_route",
    "leaf_value",
    "metadata",
    "replace",
    "require",
]
__all__ += [name for name in _primitives.__all__ if not name.startswith("MAX_")]


def __getattr__(name: str) -> Any:
    """The client classes: an app, and a process that executes one, need no network library."""
    if name in ("Client", "SyncClient"):
        return getattr(_import_module("microrollup.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
