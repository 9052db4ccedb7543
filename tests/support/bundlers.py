"""A bundler as npm ships it (`@pimlico/alto`): on a free port of the loopback, on the chain's clock, stopped by its id.

It is GPL-3.0 and nothing but a process here. It bundles when it is told to, so that no test waits for its timers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from apps.keystore.smart_account import ENTRY_POINT, UserOperation, encode_user_operation_json
from microrollup.testing.anvil import Anvil
from npm import install_npm
from paths import TESTS
from waiting import SECONDS, wait_for

__all__ = ["BUNDLER", "Bundler", "BundlerRefused", "run_bundlers"]

BUNDLER: Final = TESTS / "bundler"

_COMMAND: Final = ("node", "--import", "./alto.mjs", "node_modules/@pimlico/alto/esm/cli/alto.js")
_KEYS: Final = (
    ("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
     "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    ("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
     "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
)  # fmt: skip
"""Of anvil's accounts, for each bundler: the one that sends bundles, and the one that sets up."""
_LISTENING: Final = re.compile(r"listening on (http://127\.0\.0\.1:\d+)\n")


class BundlerRefused(AssertionError):
    """The bundler said no, with a code of ERC-7769 and its reason."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error.get("code", 0)
        self.message: str = error["message"]


class Bundler:
    """A running bundler: the calls that wallets make, and the one that makes it bundle."""

    def __init__(self, anvil: Anvil, safe: bool, clock: Path) -> None:
        self.anvil = anvil
        self.safe = safe
        """Whether it traces each operation and checks the rules of ERC-7562."""
        self.url = ""
        self._clock = clock
        self.set_clock()

    def set_clock(self) -> None:
        """Its clock is the chain's newest block's, in seconds."""
        self._clock.write_text(str(self.anvil.get_head()[1]))

    def call(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call. Raises `BundlerRefused`."""
        self.set_clock()
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
                answer = json.loads(response.read())
        except urllib.error.HTTPError as refused:
            answer = json.loads(refused.read())
        if "result" not in answer:
            raise BundlerRefused(answer.get("error") or {"message": str(answer)})
        return answer["result"]

    def estimate(self, operation: UserOperation) -> UserOperation:
        """The operation with the limits that the bundler estimates. Raises `BundlerRefused`."""
        unlimited = replace(operation, verification_gas_limit=0, call_gas_limit=0, pre_verification_gas=0)
        limits = self.call("eth_estimateUserOperationGas", encode_user_operation_json(unlimited), _ENTRY_POINT)
        return replace(
            operation,
            verification_gas_limit=int(limits["verificationGasLimit"], 16),
            call_gas_limit=int(limits["callGasLimit"], 16),
            pre_verification_gas=int(limits["preVerificationGas"], 16),
        )

    def submit(self, operation: UserOperation) -> str:
        """Hand the operation in; its hash. Raises `BundlerRefused`."""
        return str(self.call("eth_sendUserOperation", encode_user_operation_json(operation), _ENTRY_POINT))

    def send(self, operation: UserOperation) -> dict[str, Any]:
        """Have the operation bundled and done; the bundler's receipt of it. Raises `BundlerRefused`."""
        digest = self.submit(operation)
        self.call("debug_bundler_sendBundleNow")
        receipt: dict[str, Any] = wait_for(lambda: self.call("eth_getUserOperationReceipt", digest))
        assert receipt["success"], receipt
        return receipt


_ENTRY_POINT: Final = f"0x{ENTRY_POINT.hex()}"


@contextmanager
def run_bundlers(anvil: Anvil, *modes: bool) -> Iterator[list[Bundler]]:
    """One bundler for each mode, of which at most two; true is the safe one. They start side by side.

    Skips the test where npm cannot bring it.
    """
    install_npm(BUNDLER)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bundlers = []
        for number, safe in enumerate(modes):
            bundler = Bundler(anvil, safe, folder / f"clock {number}")
            said = stack.enter_context((folder / f"said {number}").open("w+"))
            executor, utility = _KEYS[number]
            process = subprocess.Popen(
                [*_COMMAND, *_list_options(anvil.url, safe, executor, utility)], cwd=BUNDLER, stdin=subprocess.DEVNULL,
                env=os.environ | {"CLOCK": str(bundler._clock), "NO_COLOR": "1"}, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            bundlers.append((bundler, process, said.name))
        for bundler, process, name in bundlers:
            bundler.url = wait_for(lambda process=process, name=name: _find_url(process, Path(name)))
        yield [bundler for bundler, _, _ in bundlers]


def _list_options(url: str, safe: bool, executor: str, utility: str) -> list[str]:
    options = {
        "entrypoints": _ENTRY_POINT, "rpc-url": url, "safe-mode": str(safe).lower(), "log-level": "fatal",
        "executor-private-keys": f"0x{executor}", "utility-private-key": f"0x{utility}", "min-executor-balance": "1",
        "refilling-wallets": "false", "utility-wallet-monitor": "false", "enable-debug-endpoints": "true",
        "bundle-mode": "manual", "block-time": "40", "block-number-cache-ttl": "0", "min-entity-stake": "1",
    }  # fmt: skip
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def _find_url(process: subprocess.Popen[bytes], said: Path) -> str:
    text = said.read_text()
    assert process.poll() is None, text[-4_000:]
    found = _LISTENING.search(text)
    return "" if found is None else found[1]
