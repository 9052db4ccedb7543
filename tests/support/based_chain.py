"""A based rollup on an anvil: deployed by the command, its nodes and verifiers in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from ethereum_harness import DEPLOYER, fund
from kernel_fixtures import Signer, make_key
from l1_fixtures import Anvil, run_anvil
from microrollup import Action
from microrollup.chain.record import Genesis
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.declaration.rollup import load_rollup
from microrollup.execution.payload import encode_forced_payload
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.settlement.place import EthereumPlace, make_options
from node_fixtures import Caller
from paths import SUPPORT
from ports import find_port
from process_fixtures import Process
from waiting import wait_for

__all__ = ["ANYBODY", "BasedChain", "command", "run_based_chain"]

ANYBODY = make_key("anybody with ether")
DEPTH = 2
"""What nodes and verifiers keep behind L1's head: a reorg of more blocks takes blocks back."""


def command(*arguments: object) -> tuple[int, dict[str, Any], str]:
    """A command in a process of its own: exit code, the document that it wrote, and what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "microrollup", *map(str, arguments), "--json"],
        env=os.environ | {"PYTHONPATH": str(SUPPORT)}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


class BasedChain:
    """The rollup, and what its users and verifiers do."""

    def __init__(self, app: str, root: Path, anvil: Anvil, *options: object) -> None:
        """`options` are `deploy`'s besides."""
        self.app, self.root, self.anvil = app, root, anvil
        self.rollup = load_rollup(app)
        self.verifiers = [make_key(f"verifier {number} of {app}") for number in range(3)]
        self.payer = self.keep_key("payer", DEPLOYER)
        self.anybody = self.keep_key("anybody", ANYBODY)
        self.verifier_files = [self.keep_key(f"verifier-{n}", key) for n, key in enumerate(self.verifiers)]
        fund(anvil, ANYBODY)
        anvil.mine(3)
        self.data = root / "data"
        named = [option for key in self.verifiers for option in ("--verifier", f"0x{compute_address(key).hex()}")]
        code, self.deployed, said = command(
            "deploy", app, "--based", "--data", self.data, "--l1-url", anvil.url, "--key", self.payer, *named,
            "--l1-depth", DEPTH, *options,
        )  # fmt: skip
        assert code == 0, said
        self.inbox = self.deployed["inbox"]
        self.place = EthereumPlace(anvil.url, self.inbox, depth=DEPTH)
        self.l1 = EthereumSettlement.open(
            msgspec.structs.replace(make_options(self.place), poll_seconds=0),
            [ANYBODY],  # each question looks at L1
        )
        self.genesis: Genesis = self.l1.get_genesis()
        self.signer = Signer(self.rollup, self.genesis)

    def keep_key(self, name: str, key: PrivateKey) -> Path:
        path = self.root / f"{name}.key"
        path.write_text(key.secret.hex())
        return path

    @property
    def at(self) -> list[object]:
        """The options that name the inbox."""
        return ["--l1-url", self.anvil.url, "--inbox", self.inbox, "--l1-depth", DEPTH]

    def force(self, *payloads: Any) -> list[int]:
        """Put actions, or payloads, into the queue, each in an L1 block of its own; their places."""
        encoded = [each if isinstance(each, bytes) else encode_forced_payload(self.rollup, each) for each in payloads]
        return [self.l1.force(each, sender=compute_address(ANYBODY)) for each in encoded]

    def sign(self, action: Action, name: str, nonce: int = 0) -> str:
        """A user's signed action, as a line."""
        signed = self.signer.sign(action, name, nonce)
        return json.dumps(self.rollup.action_types.to_json(self.rollup.action_types.decode_record(signed.record)))

    @contextmanager
    def run(self, directory: Path, *options: object) -> Iterator[Caller]:
        """A node that serves from a data directory, which may be a new one."""
        with closing(self.start(directory, *options)) as process:
            port = int(process.read()["url"].rpartition(":")[2])
            with closing(Caller(None, port)) as caller:  # type: ignore[arg-type]  # its node is in another process
                caller.process = process  # type: ignore[attr-defined]
                yield caller

    def start(self, directory: Path, *options: object) -> Any:
        """The process, before it says where it is."""
        where = [] if directory == self.data else self.at
        arguments = ["run", self.app, "--data", directory, "--port", 0, "--json", *where, *options]
        return Process(*arguments, cwd=self.root, path=SUPPORT)

    def derive(self, directory: Path) -> list[dict[str, Any]]:
        """What the node of a directory has: all headers, once it has everything that L1's queue holds so deep."""
        with self.run(directory) as caller:
            return self.read_headers(caller)

    def read_headers(self, caller: Caller) -> list[dict[str, Any]]:
        """The same of a node that runs, which may take blocks back while it is asked."""

        def read() -> tuple[list[dict[str, Any]]] | None:
            taken = self.wait(caller)
            try:
                heights = range(1, caller.call("height")["latest"] + 1)
                answers = [caller.ask("getHeader", height=height) for height in heights]
                is_level = len(answers) == caller.call("height")["latest"]
            except OSError:  # it begins anew
                assert caller.process.process.poll() is None  # type: ignore[attr-defined]
                return None
            headers = [answer["result"] for answer in answers if "result" in answer]
            is_one = all(one["hash"] == other["parentHash"] for one, other in pairwise(headers))
            has_taken = taken == (headers[-1]["forcedCount"] if headers else 0)  # a block is counted before it is shown
            return (headers,) if is_level and is_one and has_taken and len(headers) == len(answers) else None

        (found,) = wait_for(read)
        return found

    def wait(self, caller: Caller) -> int:
        """Until a node has derived what L1 has so deep: so many entries of its queue."""

        def find_level() -> tuple[int] | None:
            wanted = self.l1.get_forced_count(self.l1.get_origin())
            found = msgspec.convert(self.ask(caller)["l1"]["forcedTaken"], int)
            return (wanted,) if found == wanted else None

        (taken,) = wait_for(find_level)
        return taken

    def ask(self, caller: Caller) -> dict[str, Any]:
        """`/health`, also of a node that begins anew at the moment."""

        def find() -> Any:
            try:
                return json.loads(caller.get("/health")[1])
            except OSError:
                assert caller.process.process.poll() is None  # type: ignore[attr-defined]
                return None

        found: dict[str, Any] = wait_for(find)
        return found

    @contextmanager
    def verify(self, number: int) -> Iterator[str]:
        """A verifier of its own process and store, that serves what it attests; its URL."""
        port = find_port()
        arguments = [
            "verify", self.app, "--from-l1", self.anvil.url, "--inbox", self.inbox, "--l1-depth", DEPTH,
            "--data", self.root / f"verifier {number}", "--key", self.verifier_files[number],
            "--follow", "--serve", port, "--workers", 0, "--json",
        ]  # fmt: skip
        with closing(Process(*arguments, cwd=self.root, path=SUPPORT)) as process:
            process.read()  # its first report: it serves
            yield f"http://127.0.0.1:{port}"

    def start_command(self, *arguments: object) -> subprocess.Popen[bytes]:
        """A command that knows the inbox, in a process of its own."""
        whole = [sys.executable, "-m", "microrollup", *map(str, arguments), *map(str, self.at), "--json"]
        environment = os.environ | {"PYTHONPATH": str(SUPPORT)}
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)

    def settle(self, *urls: str, options: tuple[object, ...] = ()) -> tuple[int, dict[str, Any], str]:
        """Anybody settles what verifiers serve at these addresses."""
        named = [option for url in urls for option in ("--from", url)]
        return command("settle", self.app, *self.at, "--key", self.anybody, *named, *options)

    def close(self) -> None:
        self.l1.close()


@contextmanager
def run_based_chain(app: str, root: Path, *options: object) -> Iterator[BasedChain]:
    """A fresh anvil with the rollup of an app; `options` are `deploy`'s besides."""
    with run_anvil() as anvil:
        anvil.mine(3)
        with closing(BasedChain(app, root, anvil, *options)) as chain:
            yield chain
