"""Calls of a contract by its artifact, over nothing but JSON-RPC and the ABI: what tests compare our own code with."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from eth_abi.abi import decode, encode

from l1_fixtures import Anvil
from microrollup.contracts import Artifact
from microrollup.crypto.keccak import keccak256
from waiting import wait_for

GAS: Final = 16_000_000
"""A transaction takes at most 2**24 (EIP-7825)."""


class Reverted(NamedTuple):
    """A custom error, as the contract names it; addresses and bytes as bytes."""

    name: str
    arguments: dict[str, Any]


def get_type(parameter: dict[str, Any]) -> str:
    """The canonical ABI type: tuples spelled out."""
    if not parameter["type"].startswith("tuple"):
        return str(parameter["type"])
    inner = ",".join(get_type(component) for component in parameter["components"])
    return f"({inner}){parameter['type'].removeprefix('tuple')}"


def get_types(parameters: Sequence[dict[str, Any]]) -> list[str]:
    """The types of a list of parameters."""
    return [get_type(parameter) for parameter in parameters]


def get_selector(entry: dict[str, Any]) -> bytes:
    """The first four bytes of the signature's hash."""
    return keccak256(f"{entry['name']}({','.join(get_types(entry['inputs']))})".encode())[:4]


def encode_creation(artifact: Artifact, arguments: Sequence[Any]) -> str:
    """The data of a creating transaction."""
    inputs = [entry["inputs"] for entry in artifact.abi if entry["type"] == "constructor"]
    return artifact.bytecode + encode(get_types(inputs[0] if inputs else []), arguments).hex()


class Contract:
    """A deployed contract."""

    def __init__(self, anvil: Anvil, artifact: Artifact, address: str) -> None:
        self.anvil = anvil
        self.address = address
        self.functions = {entry["name"]: entry for entry in artifact.abi if entry["type"] == "function"}
        self.errors = {get_selector(entry): entry for entry in artifact.abi if entry["type"] == "error"}

    @classmethod
    def deploy(cls, anvil: Anvil, artifact: Artifact, arguments: Sequence[Any], sender: str) -> Contract:
        """Create one from an account that anvil signs for."""
        data = encode_creation(artifact, arguments)
        return cls(anvil, artifact, _send(anvil, {"from": sender, "data": data})["contractAddress"])

    def call_creation(self, artifact: Artifact, arguments: Sequence[Any], block: dict[str, str]) -> Reverted | bytes:
        """What a creation with these arguments would give: the error, or the code."""
        return self._call({"data": encode_creation(artifact, arguments), "gas": hex(GAS)}, block)

    def encode(self, name: str, *arguments: Any) -> str:
        """The calldata of a call."""
        entry = self.functions[name]
        return "0x" + (get_selector(entry) + encode(get_types(entry["inputs"]), arguments)).hex()

    def call(
        self,
        name: str,
        *arguments: Any,
        sender: str = "0x" + "00" * 20,
        block: dict[str, str] | None = None,
        **more: Any,
    ) -> Reverted | tuple[Any, ...]:
        """What a call gives at the newest block, or in one whose `number` and `time` are given."""
        data = self.encode(name, *arguments)
        transaction = {"from": sender, "to": self.address, "data": data, "gas": hex(GAS), **more}
        answer = self._call(transaction, block or {})
        return answer if isinstance(answer, Reverted) else decode(get_types(self.functions[name]["outputs"]), answer)

    def _call(self, transaction: dict[str, Any], block: dict[str, str]) -> Reverted | bytes:
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [transaction, "latest", {}, block]}
        request = urllib.request.Request(  # noqa: S310
            self.anvil.url, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            answer = json.loads(response.read())
        if answer.get("error", {}).get("message") == "EVM error OutOfGas":
            return Reverted("", {})
        if "error" in answer:
            assert 3 == answer["error"]["code"], answer
            return self._decode_error(bytes.fromhex(answer["error"]["data"][2:]))
        return bytes.fromhex(answer["result"][2:])

    def send(self, name: str, *arguments: Any, sender: str) -> dict[str, Any]:
        """A transaction, mined; its receipt."""
        return _send(self.anvil, {"from": sender, "to": self.address, "data": self.encode(name, *arguments)})

    def _decode_error(self, data: bytes) -> Reverted:
        if not data:  # what the compiler itself checks reverts without a word
            return Reverted("", {})
        entry = self.errors[data[:4]]
        values = decode(get_types(entry["inputs"]), data[4:])
        named = zip(entry["inputs"], values, strict=True)
        return Reverted(
            entry["name"],
            {i["name"]: bytes.fromhex(v[2:]) if i["type"] == "address" else v for i, v in named},
        )


def _send(anvil: Anvil, transaction: dict[str, str]) -> dict[str, Any]:
    digest = anvil.call("eth_sendTransaction", {**transaction, "gas": hex(GAS)})
    receipt: dict[str, Any] = wait_for(lambda: anvil.call("eth_getTransactionReceipt", digest))
    assert "0x1" == receipt["status"], receipt
    return receipt
