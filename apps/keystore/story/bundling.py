"""A bundler for an L2 of the story, started by a command of the user's, and the sponsor who pays for operations."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.errors import MicrorollupError, UsageError

from ..smart_account import (
    ENTRY_POINT,
    UserOperation,
    encode_stub_signature,
    encode_user_operation_json,
)
from ..smart_account.opening import Opening
from ..smart_account.paymaster import PaymasterOffer, encode_paymaster_creation, sponsor, stub_sponsorship
from .chain import Chain, Sent
from .holder import Device

__all__ = ["Bundler", "run_bundler"]

_START_SECONDS: Final = 60
_CALL_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.02
_DEPOSIT: Final = 10**18
_OFFER_SECONDS: Final = 3_600
_SAYS: Final = "listening on "


class Bundler:
    """A running bundler of one L2; its sponsor pays for what goes through it."""

    def __init__(self, url: str, chain: Chain, clock: Path) -> None:
        self._url = url
        self._chain = chain
        self._clock = clock
        self._key = load_private_key(keccak256(b"the story's sponsor"))
        self.paymaster, gas = chain.deploy(
            encode_paymaster_creation(ENTRY_POINT, compute_address(self._key), chain.funder)
        )
        deposit = keccak256(b"depositTo(address)")[:4] + self.paymaster.rjust(32, b"\0")
        self.sponsor_gas = gas + chain.send(ENTRY_POINT, deposit, value=_DEPOSIT).gas
        """What the sponsor's contract and deposit took."""

    def prepare(self, operation: UserOperation, device: Device, opening: Opening) -> UserOperation:
        """The operation with the limits that the bundler estimates for its stub, paid for by the sponsor; unsigned."""
        offer = PaymasterOffer(self.paymaster, self._chain.get_time() + _OFFER_SECONDS)
        stub = replace(
            stub_sponsorship(operation, offer),
            signature=encode_stub_signature(device.configuration, opening),
            verification_gas_limit=0,
            call_gas_limit=0,
            pre_verification_gas=0,
        )
        limits = self._call("eth_estimateUserOperationGas", encode_user_operation_json(stub), hex0x(ENTRY_POINT))
        estimated = replace(
            operation,
            verification_gas_limit=int(limits["verificationGasLimit"], 16),
            call_gas_limit=int(limits["callGasLimit"], 16),
            pre_verification_gas=int(limits["preVerificationGas"], 16),
        )
        return sponsor(estimated, offer, self._chain.chain_id, self._key)

    def handle(self, operation: UserOperation) -> Sent:
        """Have it done. Raises `MicrorollupError` if the bundler does not take it."""
        digest = self._call("eth_sendUserOperation", encode_user_operation_json(operation), hex0x(ENTRY_POINT))
        deadline = time.monotonic() + _CALL_SECONDS
        while (done := self._call("eth_getUserOperationReceipt", digest)) is None:
            if time.monotonic() > deadline:
                raise MicrorollupError(f"the bundler does not include operation {digest}")
            time.sleep(_PAUSE_SECONDS)
        receipt = done["receipt"]
        transaction = self._chain.anvil.call("eth_getTransactionByHash", receipt["transactionHash"])
        return Sent(int(receipt["gasUsed"], 16), len(transaction["input"]) // 2 - 1, receipt)

    def _call(self, method: str, *params: Any) -> Any:
        self._clock.write_text(str(self._chain.get_time()), "ascii")
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, {"content-type": "application/json"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as response:  # noqa: S310
                answer = json.loads(response.read())
        except urllib.error.HTTPError as refused:
            answer = json.loads(refused.read())
        if "result" not in answer:
            raise MicrorollupError(f"the bundler refuses {method}: {answer.get('error', answer)}")
        return answer["result"]


@contextmanager
def run_bundler(command: Sequence[str], chain: Chain, folder: Path) -> Iterator[Bundler]:
    """Start `command URL ENTRY_POINT CLOCK`, which says `listening on URL`, and end it.

    CLOCK is a file with the chain's time in seconds, which is not this machine's. Raises `UsageError` if it does not
    start.
    """
    clock, said = folder / f"clock {chain.chain_id}", folder / f"said {chain.chain_id}"
    clock.write_text(str(chain.get_time()), "ascii")
    with said.open("w+") as stream:
        try:
            process = subprocess.Popen(  # noqa: S603  # the command is the user's own
                [*command, chain.anvil.url, hex0x(ENTRY_POINT), str(clock)],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(f"the bundler's command does not start: {error}") from None
        try:
            yield Bundler(_wait_for_url(process, said), chain, clock)
        finally:
            process.kill()
            process.wait()


def _wait_for_url(process: subprocess.Popen[bytes], said: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        text = said.read_text("utf-8")
        for line in text.splitlines(keepends=True):
            if line.startswith(_SAYS) and line.endswith("\n"):
                return line.removeprefix(_SAYS).strip()
        if process.poll() is not None or time.monotonic() > deadline:
            raise UsageError(f"the bundler did not start: {text.strip()[-500:] or 'it said nothing'}")
        time.sleep(_PAUSE_SECONDS)
