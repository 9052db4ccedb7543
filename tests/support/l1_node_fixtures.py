"""A rollup's node as a process, its inbox on a real L1 whose blocks come by themselves, and a proxy in between."""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import apps.keystore
from apps.keystore.transitions import Register
from command_line import APP, ROOT
from l1_fixtures import Anvil, run_anvil
from l1_proxy import L1Proxy, run_proxy
from microrollup.chain.block import compute_block_hash
from microrollup.chain.record import DomainConfig
from microrollup.cli import main
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.ethereum.answers import L1Log, parse_logs
from microrollup.settlement.ethereum.contract import compute_topic, encode_call
from microrollup.settlement.ethereum.events import BatchSettled, decode_event
from microrollup.store.tables import find_place
from microrollup.testing.anvil import DEV_KEYS
from microrollup.testing.signing import sign_action
from node_fixtures import Caller
from waiting import SECONDS, wait_for

BLOCK_SECONDS = 0.1
"""So often L1 mines; in its own time its blocks are 12 seconds apart."""

BLOCK_TIME = "200ms"


def run_command(*arguments: object, code: int = 0) -> Any:
    """The JSON document of a command, run in this process."""
    out = io.StringIO()
    with redirect_stdout(out):
        found = main([*[str(argument) for argument in arguments], "--json"])
    assert code == found, out.getvalue()
    return json.loads(out.getvalue())


class Miner(threading.Thread):
    """Mines a block every `BLOCK_SECONDS` until it is stopped; paused for as long as somebody holds `lock`."""

    def __init__(self, anvil: Anvil) -> None:
        super().__init__(daemon=True)
        self.anvil = anvil
        self.lock = threading.RLock()
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(BLOCK_SECONDS):
            with self.lock:
                self.anvil.call("evm_mine")

    def stop(self) -> None:
        self._done.set()
        self.join()


class Chain:
    """The L1: anvil, what it looks like through the proxy, and its miner."""

    def __init__(self, anvil: Anvil, proxy: L1Proxy, miner: Miner) -> None:
        self.anvil = anvil
        self.proxy = proxy
        self.miner = miner

    def get_number(self) -> int:
        return int(self.anvil.call("eth_blockNumber"), 16)

    def reorg(self, depth: int, *, mine: int = 2) -> int:
        """Replace so many blocks by as many others and some more; the first number that is replaced.

        What was in the old blocks is gone: the pool is emptied. The first of the new ones has a transaction of its own:
        empty blocks of equal times would be the same ones again.
        """
        with self.miner.lock:
            first = self.get_number() - depth + 1
            somebody = get_address(load_private_key(bytes.fromhex(DEV_KEYS[2])))
            other = {"from": somebody, "to": somebody, "value": hex(first)}
            self.anvil.call("anvil_reorg", depth, [[other, 0]])
            self.anvil.call("anvil_dropAllTransactions")
            for _ in range(mine):
                self.anvil.call("evm_mine")
        return first

    def reorg_from(self, number: int) -> int:
        """Replace all blocks from this one on."""
        with self.miner.lock:
            return self.reorg(self.get_number() - number + 1)


@contextmanager
def run_chain() -> Iterator[Chain]:
    """A fresh L1 that mines by itself from the first moment on."""
    with run_anvil("--no-mining", "--slots-in-an-epoch", "1") as anvil, run_proxy(anvil.url) as proxy:
        anvil.call("evm_mine")
        miner = Miner(anvil)
        miner.start()
        try:
            yield Chain(anvil, proxy, miner)
        finally:
            miner.stop()


class _Forker:
    """The process of `node_zygote.py`: started once, it lives as long as the process of tests."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("node_zygote.py"))],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lock = threading.Lock()
        self._is_ready = False
        atexit.register(self._process.communicate, timeout=SECONDS)

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            if not self._is_ready:
                assert b"ready\n" == self._process.stdout.readline()
                self._is_ready = True
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


_get_forker = cache(_Forker)


class Zygote:
    """Starts nodes within milliseconds; see `node_zygote.py`. Those that still run at its end are killed then."""

    def __init__(self) -> None:
        self._forker = _get_forker()
        self._started: list[int] = []

    def ask(self, request: dict[str, Any]) -> Any:
        answer = self._forker.ask(request)
        if "arguments" in request:
            self._started.append(answer)
        return answer

    def close(self) -> None:
        self._forker.ask({"end": self._started})


class Command:
    """A command line in a process of its own, its output in files."""

    def __init__(self, zygote: Zygote, log: Path, *arguments: object, crash: tuple[str, int] | None = None) -> None:
        self.log = log
        self.out = log.with_suffix(".out")
        self.out.write_bytes(b"")
        self._zygote = zygote
        request: dict[str, Any] = {
            "arguments": [str(each) for each in arguments],
            "stdout": str(self.out),
            "stderr": str(log),
        }
        if crash is not None:
            request["crash"] = crash
        self.pid: int = zygote.ask(request)
        self.code: int | None = None

    def read(self, index: int = 0) -> dict[str, Any]:
        """The JSON object on a line of its standard output, once it is there."""

        def find() -> list[str]:
            lines = self.out.read_text().splitlines(keepends=True)
            assert len(lines) > index or self.wait(0) is None, self.log.read_text()
            return [line for line in lines[index : index + 1] if line.endswith("\n")]

        found: dict[str, Any] = json.loads(wait_for(find)[0])
        return found

    def read_all(self) -> list[dict[str, Any]]:
        """All JSON objects of its standard output so far."""
        return [json.loads(line) for line in self.out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def wait(self, seconds: float = SECONDS) -> int | None:
        """Its exit code."""
        if self.code is None:
            self.code = self._zygote.ask({"pid": self.pid, "wait": seconds})
        return self.code

    def stop(self) -> int | None:
        """SIGTERM, and its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL; it may have ended already."""
        if self.wait(0) is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def read_log(self, *events: str) -> list[dict[str, Any]]:
        """What it logged, or only these events, in order."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        found = [json.loads(line) for line in lines]
        return [each for each in found if not events or each["event"] in events]

    def close(self) -> None:
        self.kill()


class Node(Caller):
    """A running node: its process, and a caller of its API."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.info = command.read()
        super().__init__(None, int(self.info["url"].rpartition(":")[2]))  # type: ignore[arg-type]

    def get_heights(self) -> dict[str, int]:
        heights: dict[str, int] = self.call("height")
        return heights

    def wait_until_settled(self, level: str = "settled", seconds: float = SECONDS) -> int:
        """Until every action is in a closed block, and these are settled; the height."""

        def find() -> int:
            status = self.call("status")
            header, heights = self.call("getHeader"), status["height"]
            is_closed = header["firstSeq"] + header["actionCount"] == status["acknowledged"]
            return heights[level] if is_closed and heights[level] == header["height"] else 0

        return int(wait_for(find, seconds))

    def read_health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/health")[1])
        return found


class RollupSite:
    """A keystore that settles on a chain: its data directory, whoever uses it, and what was acknowledged to them."""

    def __init__(self, root: Path, chain: Chain, zygote: Zygote, reference: str = APP) -> None:
        self.root = root
        self.reference = reference
        self.chain = chain
        self.zygote = zygote
        self.data = root / "data"
        self.inbox = ""
        self.domain = DomainConfig("", "", 0, bytes(20))
        self.acks: list[dict[str, Any]] = []
        self._next = 0
        self._logs = 0

    def deploy(self, *options: object, depth: int = 12) -> dict[str, Any]:
        """`microrollup deploy`, paid by a development account."""
        key = self.root / "payer.key"
        key.write_text(DEV_KEYS[0])
        found: dict[str, Any] = run_command(
            "deploy", self.reference, "--data", self.data, "--l1-url", self.chain.proxy.url, "--key", key,
            "--fund", 100, "--l1-depth", depth, "--blobs", self.chain.proxy.url, *options,
        )  # fmt: skip
        self.inbox = found["inbox"]
        self.domain = apps.keystore.app.make_domain(verifying_contract=bytes.fromhex(self.inbox[2:]))
        return found

    def tune(self, **members: Any) -> None:
        """Change what the data directory says of its L1."""
        path = self.data / "deployed.json"
        path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | members))

    def make_lines(self, count: int) -> list[bytes]:
        """Actions that nobody has signed yet: each registers an account, by a sender of its own."""
        lines = []
        for _ in range(count):
            self._next += 1
            number = self._next.to_bytes(32, "big")
            action = Register(b"\xc0" * 32, b"\xcf" * 32, number)
            lines.append(sign_action(apps.keystore.app, action, 0, make_user(self._next), self.domain))
        return lines

    def submit(self, node: Caller, count: int = 3) -> list[dict[str, Any]]:
        """Submit so many actions; their acknowledgements."""
        acks = [answer["ack"] for answer in node.submit(*self.make_lines(count))]
        self.acks += acks
        wait_for(lambda: node.call("status")["acknowledged"] > acks[-1]["seq"])
        return acks

    def force(self, key: PrivateKey, member: str = "0x" + "55" * 32) -> dict[str, Any]:
        """`microrollup force`: register an account past the operator."""
        path = self.root / f"{get_address(key)}.key"
        path.write_text(key.secret.hex())
        self.chain.anvil.call("anvil_setBalance", get_address(key), hex(10**18))
        members = [f"--member={name}={member}" for name in ("codeHash", "configHash", "salt")]
        found: dict[str, Any] = run_command("force", APP, "Register", *members, "--key", path, "--data", self.data)
        return found

    def start(self, *arguments: object) -> Command:
        """A command in a process of its own."""
        self._logs += 1
        return Command(self.zygote, self.root / f"{self._logs}-{arguments[0]}.log", *arguments)

    @contextmanager
    def run(self, *options: object, data: Path | None = None) -> Iterator[Node]:
        """A node; its process is killed at the end unless it has ended."""
        arguments = [
            "run", self.reference, "--data", data or self.data, "--port", 0, "--block-time", BLOCK_TIME, "--log-json",
            "--json",
        ]  # fmt: skip
        with closing(self.start(*arguments, *options)) as command, closing(Node(command)) as node:
            yield node

    def read_settled(self) -> list[BatchSettled]:
        """Every batch that L1 itself says to hold."""
        topic = f"0x{compute_topic('BatchSettled').hex()}"
        asked = {"address": self.inbox, "fromBlock": "0x0", "topics": [topic]}
        answer = self.chain.anvil.call("eth_getLogs", asked)
        logs: list[L1Log] = parse_logs(answer, bytes.fromhex(self.inbox[2:]), 0, 1 << 40)
        events = [decode_event(log) for log in logs]
        return [event for event in events if isinstance(event, BatchSettled)]

    def read_root(self) -> str:
        """The state root that the inbox contract gives to whoever calls it."""
        call = {"to": self.inbox, "data": f"0x{encode_call('settled').hex()}"}
        raw: str = self.chain.anvil.call("eth_call", call, "latest")
        return f"0x{raw[2 + 2 * 64 : 2 + 3 * 64]}"

    def derive(self, directory: Path, *options: object) -> dict[str, Any]:
        """`microrollup verify --from-l1`, from anvil itself."""
        found: dict[str, Any] = run_command(
            "verify",
            APP,
            "--from-l1",
            self.chain.anvil.url,
            "--inbox",
            self.inbox,
            "--data",
            directory,
            "--workers",
            0,
            *options,
        )
        return found

    def check_settled_once(self, node: Caller, others: int = 0, *, in_place: bool = True) -> dict[str, Any]:
        """A healthy end: each acknowledged action is settled, once, and L1 gives the node's own state.

        `others` is how many actions there are beside the acknowledged ones, as forced ones; without `in_place` they may
        have other places than they were acknowledged at.
        """
        header = node.call("getHeader")
        ranges = [(event.first_height, event.last_height) for event in self.read_settled()]
        heights = [height for first, last in ranges for height in range(first, last + 1)]
        assert list(range(1, header["height"] + 1)) == heights, ranges
        directory = self.root / f"derived-{header['height']}"
        report = self.derive(directory, "--blobs", self.chain.anvil.url)
        assert (header["height"], header["stateRoot"]) == (report["verified"], report["stateRoot"])
        assert len(self.acks) + others == report["actions"]
        with Ledger.open(directory / "store", apps.keystore.app) as ledger:
            assert node.call("getHeader", height=header["height"])["stateRoot"] == f"0x{ledger.header.state_root.hex()}"
            assert compute_block_hash(ledger.header) == ledger.checkpoint.block_hash
            for ack in self.acks:
                place = find_place(
                    ledger.environment.reader,
                    ledger.environment.tables,
                    bytes.fromhex(ack["actionHash"][2:]),
                    ledger.checkpoint.next_seq,
                )
                assert place is not None, ack
                assert not in_place or (ack["seq"], ack["height"]) == (place.seq, place.height)
        assert len(self.acks) == len({ack["actionHash"] for ack in self.acks})
        return report


def make_user(number: int) -> PrivateKey:
    """Somebody who registers an account."""
    return load_private_key(keccak256(b"user of a node on L1 " + number.to_bytes(8, "big")))


def get_address(key: PrivateKey) -> str:
    return f"0x{compute_address(key).hex()}"
