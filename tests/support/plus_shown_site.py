"""A node of the Keystore+ that has something on each page, with names that are registered while it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from apps.keystore.plus.naming import CommitName, RegisterNamed, SetText, compute_commitment, compute_named_key
from microrollup.declaration.rollup import load_rollup
from microrollup.testing.signing import sign_action
from node_fixtures import Caller, Site
from paths import ROOT, SUPPORT
from plus_world import ALICE, CODE, CONFIG, PARENT, SENDERS
from waiting import wait_for

__all__ = ["serve_plus"]

_SECRET = b"\x5e" * 32
_ACCOUNTS = b'{"jsonrpc": "2.0", "id": 1, "method": "keystorePlus_accounts"}'


@contextmanager
def serve_plus(directory: Path, labels: tuple[str, ...] = ("alice", "alice-savings")) -> Iterator[Caller]:
    """The node, with these names for Alice, and two text records of the first, if there is one."""
    environment = {"PLUS_SHOWN_NOW": str(int(time.time())), "PYTHONPATH": f"{SUPPORT}{os.pathsep}{ROOT}"}
    with patch.dict(os.environ, environment):
        site = Site(directory, "plus_shown")
        with site.serve() as caller:
            app = load_rollup("plus_shown")
            domain, nonce = site.genesis.domain, caller.call("getNonce", sender=f"0x{ALICE.hex()}")["next"]

            def submit(action: Any) -> None:
                nonlocal nonce
                (answer,) = caller.submit(sign_action(app, action, nonce, SENDERS.keys[ALICE], domain))
                nonce += 1
                height = answer["ack"]["height"]
                wait_for(lambda: caller.call("height")["latest"] >= height)

            for label in labels:
                submit(CommitName(compute_commitment(label, ALICE, _SECRET)))
                submit(RegisterNamed(label, _SECRET, CODE, CONFIG))
            for name, value in (
                ()
                if not labels
                else (
                    ("url", "https://alice.example"),
                    ("description", "Words of Alice's own, a line long."),
                )
            ):
                submit(SetText(compute_named_key(PARENT, labels[0]), name, value))
            # Processes that import the app answer later on a busy machine than a query may take.
            wait_for(lambda: b'"result"' in caller.post(_ACCOUNTS)[1])
            wait_for(lambda: _are_indexes_filled(caller))
            yield caller


def _are_indexes_filled(caller: Caller) -> bool:
    """Whether every index has the newest block: a page that is read before shows less, until the next block."""
    tip, indexes = caller.call("height")["latest"], caller.call("status")["indexes"]
    return all(index["reached"] is not None and index["reached"] >= tip for index in indexes)
