"""The client library: submit actions, wait for confirmations, read proven state, follow what happens.

    async with Client("http://127.0.0.1:8650", app) as client:
        ack = await client.submit(Register(...), key)
        await client.wait(ack, "C3B")

`SyncClient` is the same without an event loop.
"""

from microrollup.chain.answers.confirmations import Confirmation
from microrollup.chain.answers.node import NodeConfig
from microrollup.client.client import LEVELS, Client
from microrollup.client.declaring import declare_action
from microrollup.client.errors import (
    ActionRefused,
    BadAnswer,
    BlockInvalid,
    ClientError,
    ConfirmationTimeout,
    ForeignNode,
    HeightNotRetained,
    IntakeClosed,
    NodeBusy,
    NotFound,
    OutcomeUnknown,
    QueryFailed,
    RateExceeded,
    RpcError,
    Unauthorized,
    Unreachable,
)
from microrollup.client.events import read_events
from microrollup.client.signed import SignedAction
from microrollup.client.signer import DigestSigner, Signer, TypedDataSigner
from microrollup.client.state import EntriesPage, ProvenValue, StateValue
from microrollup.client.submitting import Outcome
from microrollup.client.subscription import Notification
from microrollup.client.synchronous import SyncClient

__all__ = [
    "ActionRefused",
    "BadAnswer",
    "BlockInvalid",
    "Client",
    "ClientError",
    "Confirmation",
    "ConfirmationTimeout",
    "DigestSigner",
    "EntriesPage",
    "ForeignNode",
    "HeightNotRetained",
    "IntakeClosed",
    "LEVELS",
    "NodeBusy",
    "NodeConfig",
    "NotFound",
    "Notification",
    "Outcome",
    "OutcomeUnknown",
    "ProvenValue",
    "QueryFailed",
    "RateExceeded",
    "RpcError",
    "Signer",
    "SignedAction",
    "StateValue",
    "SyncClient",
    "TypedDataSigner",
    "Unauthorized",
    "Unreachable",
    "declare_action",
    "read_events",
]
