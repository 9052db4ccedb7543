"""A node of the keystore, an L2 with the accounts' contracts, and a bundler, for tests in other languages.

`python tests/support/keystore_site.py` writes one line of JSON with all addresses. Then it takes commands, a line of
JSON each, `[name, argument]`, and answers each with a line; it ends with its standard input.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from account_world import Keystore, World, show
from apps.keystore import app
from apps.keystore.smart_account import encode_eoa_delegate_creation
from bundlers import Bundler, run_bundlers
from l1_fixtures import run_anvil
from microrollup.execution.authentication import Authenticator
from microrollup.execution.payload import decode_carried_action, encode_carried_payload
from process_fixtures import run_node

APP = "apps.keystore"


class NodeRoots:
    """The newest root of a node that is settled."""

    def __init__(self, caller: Any) -> None:
        self._caller = caller

    def get_root(self) -> tuple[bytes, int]:
        """The state root, and its height."""
        height = self._caller.call("height")["settled"]
        header = self._caller.call("getHeader", height=height)
        return bytes.fromhex(header["stateRoot"][2:]), height


class Site:
    """The commands."""

    def __init__(self, world: World, bundler: Bundler, caller: Any) -> None:
        self.world = world
        self.caller = caller
        self.bundler = bundler

    def mirror(self, _: str) -> None:
        """Bring the newest settled root to the L2."""
        self.world.mirror()

    def push(self, account: str) -> None:
        """Renew an account's copy of it."""
        self.world.push(bytes.fromhex(account[2:]))

    def fund(self, account: str) -> None:
        """Ten ether."""
        self.world.fund(bytes.fromhex(account[2:]))

    def bundle(self, _: str) -> None:
        """Have the bundler send what it holds."""
        self.bundler.call("debug_bundler_sendBundleNow")

    def decode(self, payload: str) -> dict[str, object]:
        """What the queue of the node's rollup makes of a payload that carries a signed action."""
        domain = self.caller.call("config")["domain"]
        named = app.make_domain(int(domain["chainId"]), bytes.fromhex(domain["verifyingContract"][2:]))
        raw = bytes.fromhex(payload[2:])
        signed = decode_carried_action(Authenticator.of(app, named), raw)
        name, members, nonce, _ = msgspec.msgpack.decode(signed.record)
        return {
            "type": name,
            "members": [show(member) for member in members],
            "nonce": nonce,
            "sender": show(signed.sender),
            "payload": show(encode_carried_payload(signed.record)),
        }


COMMANDS = {"mirror": Site.mirror, "push": Site.push, "fund": Site.fund, "bundle": Site.bundle, "decode": Site.decode}


@contextmanager
def _run_world(caller: Any) -> Iterator[World]:
    with run_anvil("--hardfork", "osaka") as anvil:
        yield World(anvil, cast("Keystore", NodeRoots(caller)))


def main() -> None:
    """Serve until standard input ends."""
    with (
        tempfile.TemporaryDirectory() as directory,
        run_node(Path(directory) / "node", app=APP) as caller,
        _run_world(caller) as world,
        run_bundlers(world.anvil, False) as (bundler,),
    ):
        site = Site(world, bundler, caller)
        _say(
            {
                "node": caller.process.info["url"],
                "chain": world.anvil.url,
                "chainId": world.chain_id,
                "bundler": bundler.url,
                "factory": show(world.factory),
                "roots": show(world.roots),
                "delegate": show(world.deploy(encode_eoa_delegate_creation(world.roots))),
            }
        )
        for line in sys.stdin:
            name, argument = json.loads(line)
            answer = COMMANDS[name](site, argument)
            bundler.set_clock()
            _say({"done": name, "answer": answer})


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
