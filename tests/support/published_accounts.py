"""Accounts with modules (ERC-7579) as their authors publish them, with a first owner, under published entry points."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from eth_abi.abi import decode, encode
from msgspec.structs import replace

from account_world import RECIPIENT, World, address_of, make_key, show
from apps.keystore.smart_account import DEPLOYER, ENTRY_POINT, UserOperation, encode_handle_ops, sign_ecdsa
from apps.keystore.smart_account.module_calls import (
    compute_kernel_nonce_key,
    compute_module_nonce_key,
    compute_nexus_nonce_key,
    encode_install,
    encode_kernel_install,
)
from contract_calls import _send as send_transaction
from microrollup.crypto.ecdsa import PrivateKey
from microrollup.crypto.keccak import keccak256
from npm import install_npm
from paths import FOUNDRY, TESTS

__all__ = ["KINDS", "ModuleAccount", "Safe", "ask", "encode_call", "encode_module_execute", "send"]

_ADDRESS_BYTES: Final = 20
_NOBODY: Final = bytes(_ADDRESS_BYTES)
_ENTRY_POINT_07: Final = bytes.fromhex("0000000071727de22e5e9d8baf0edac6f37da032")
_ENTRY_POINT_07_SALT: Final = bytes.fromhex("90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3")
_PACKED: Final = "(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)"
_EXECUTE: Final = keccak256(b"execute(bytes32,bytes)")[:4]
_SAFE_PACKAGES: Final = {"1.5.0": "safe-smart-account", "1.4.1": "safe-contracts"}
_NO_REFUND: Final = (0, 0, 0, 0, _NOBODY, _NOBODY)
"""A Safe's call, no delegatecall, and nothing for who sends it."""


@cache
def install_accounts() -> Path:
    """The folder of npm's packages. Skips the test where they cannot be had."""
    return install_npm(TESTS / "accounts") / "node_modules"


def load_published(file: str, name: str) -> bytes:
    """Creation code that a Solidity file of modulekit keeps under a name."""
    source = install_accounts() / "@rhinestone/modulekit/src/deployment/precompiles" / f"{file}.sol"
    found = re.search(rf'bytes public constant {name} =\s*hex"([0-9a-f]+)"', source.read_text("utf-8"))
    assert found is not None
    return bytes.fromhex(found[1])


def load_own(contract: str) -> bytes:
    """Creation code of a contract of the tests."""
    return _read_artifact(FOUNDRY / "accounts" / "test" / "artifacts" / f"{contract}.json")


def _read_artifact(path: Path) -> bytes:
    return bytes.fromhex(json.loads(path.read_text())["bytecode"][2:])


def encode_call(signature: str, *arguments: Any) -> bytes:
    """The call data of a function, by its signature."""
    _, _, types = signature.partition("(")
    return keccak256(signature.encode())[:4] + encode(_split(types[:-1]), arguments)


def _split(types: str) -> list[str]:
    """The types between commas, tuples whole."""
    parts, depth = [""], 0
    for letter in types:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part]


def encode_module_execute(target: bytes, value: int, data: bytes = b"") -> bytes:
    """`execute` of one call, as ERC-7579 has it."""
    return _EXECUTE + encode(["bytes32", "bytes"], [bytes(32), target + value.to_bytes(32, "big") + data])


def ask(world: World, target: bytes, data: bytes) -> bytes:
    """What a call gives."""
    answer = world.anvil.call("eth_call", {"to": show(target), "data": show(data)}, "latest")
    return bytes.fromhex(answer[2:])


def send(world: World, target: bytes, data: bytes) -> dict[str, Any]:
    """A transaction of anybody's, which must succeed; its receipt."""
    return send_transaction(world.anvil, {"from": world.funder, "to": show(target), "data": show(data)})


class ModuleAccount:
    """An account of one kind on a chain; its first owner is the key of a name."""

    kind: ClassVar[str]
    entry_point: ClassVar[bytes] = ENTRY_POINT

    def __init__(self, world: World, owner: str) -> None:
        self.world, self.owner = world, owner
        self.address = self._create()
        world.fund(self.address)

    def _create(self) -> bytes:
        raise NotImplementedError

    def _deploy(self, code: bytes) -> bytes:
        return self.world.deploy(code)

    def _install_call(self, module: bytes, key: bytes) -> bytes:
        return encode_install(module, key)

    def get_module_key(self, module: bytes) -> int:
        """The 192-bit key of the nonce by which the account finds a module."""
        return compute_module_nonce_key(module)

    def get_owner_key(self) -> int:
        """The same for its first owner."""
        return 0

    def sign_as_owner(self, digest: bytes) -> bytes:
        """What the account takes from its first owner."""
        return sign_ecdsa(make_key(self.owner), digest)

    def install(self, module: bytes, key: bytes) -> None:
        """The first owner has the module installed."""
        operation = self.make_operation(self._install_call(module, key), self.get_owner_key())
        self.handle(replace(operation, signature=self.sign_as_owner(self.compute_hash(operation))))

    def make_transfer(self, nonce_key: int) -> UserOperation:
        """An operation that sends one wei."""
        return self.make_operation(encode_module_execute(RECIPIENT, 1), nonce_key)

    def make_operation(self, call_data: bytes, nonce_key: int) -> UserOperation:
        """An operation with limits that are enough, not signed."""
        call = encode_call("getNonce(address,uint192)", self.address, nonce_key)
        nonce = int.from_bytes(ask(self.world, self.entry_point, call), "big")
        return replace(self.world.make_transfer(self.address), nonce=nonce, call_data=call_data, call_gas_limit=400_000)

    def compute_hash(self, operation: UserOperation) -> bytes:
        """As the account's entry point has it."""
        (packed,), _ = decode([f"{_PACKED}[]", "address"], encode_handle_ops([operation], _NOBODY)[4:])
        return ask(self.world, self.entry_point, encode_call(f"getUserOpHash({_PACKED})", packed))

    def refuse(self, operation: UserOperation) -> str:
        """Why the entry point refuses it; empty if it takes it."""
        return self.world.refuse(operation, self.entry_point)

    def handle(self, operation: UserOperation) -> None:
        """Have it done, by handing it to the entry point."""
        assert "" == self.refuse(operation)
        balance = self.world.get_balance(RECIPIENT)
        self.world.handle(operation, self.entry_point)
        if operation.call_data == encode_module_execute(RECIPIENT, 1):
            assert balance + 1 == self.world.get_balance(RECIPIENT)


class OpenZeppelinAccount(ModuleAccount):
    """OpenZeppelin's `AccountERC7579` with a key of its own."""

    kind = "OpenZeppelin"

    def _create(self) -> bytes:
        return self._deploy(
            load_own("ModularAccount") + encode(["address", "address"], [ENTRY_POINT, address_of(self.owner)])
        )


class NexusAccount(ModuleAccount):
    """Biconomy's Nexus, made with one validator."""

    kind = "Nexus"

    def _create(self) -> bytes:
        self.validator = self._deploy(load_own("OwnerValidator"))
        implementation = self._deploy(
            load_published("NexusPrecompiles", "NEXUS_BYTECODE") + encode(["address"], [ENTRY_POINT])
        )
        bootstrap = self._deploy(load_published("NexusPrecompiles", "NEXUS_BOOTSTRAP_BYTECODE"))
        first = encode_call(
            "initNexusWithSingleValidator(address,bytes,address,address[],uint8)",
            self.validator, address_of(self.owner), _NOBODY, [], 0,
        )  # fmt: skip
        initial = encode_call("initializeAccount(bytes)", encode(["address", "bytes"], [bootstrap, first]))
        proxy = load_published("NexusPrecompiles", "NEXUS_PROXY_BYTECODE")
        return self._deploy(proxy + encode(["address", "bytes"], [implementation, initial]))

    def get_module_key(self, module: bytes) -> int:
        return compute_nexus_nonce_key(module)

    def get_owner_key(self) -> int:
        return self.get_module_key(self.validator)


class KernelAccount(ModuleAccount):
    """ZeroDev's Kernel, version 3, made with one validator as its root."""

    kind = "Kernel"

    def _create(self) -> bytes:
        self.validator = self._deploy(load_own("OwnerValidator"))
        implementation = self._deploy(
            load_published("KernelPrecompiles", "KERNEL_BYTECODE") + encode(["address"], [ENTRY_POINT])
        )
        factory = self._deploy(
            load_published("KernelPrecompiles", "KERNEL_FACTORY_BYTECODE") + encode(["address"], [implementation])
        )
        root = b"\1" + self.validator
        initial = encode_call(
            "initialize(bytes21,address,bytes,bytes,bytes[])", root, _NOBODY, address_of(self.owner), b"", []
        )
        address = ask(self.world, factory, encode_call("getAddress(bytes,bytes32)", initial, bytes(32)))[12:]
        send(self.world, factory, encode_call("createAccount(bytes,bytes32)", initial, bytes(32)))
        return address

    def _install_call(self, module: bytes, key: bytes) -> bytes:
        return encode_kernel_install(module, key)

    def get_module_key(self, module: bytes) -> int:
        return compute_kernel_nonce_key(module)


class Safe:
    """A Safe of some owners, of one of the published versions."""

    def __init__(
        self, world: World, owners: list[bytes], threshold: int, *, version: str = "1.5.0", handler: bytes = _NOBODY
    ) -> None:
        self.world = world
        artifacts = install_accounts() / "@safe-global" / _SAFE_PACKAGES[version] / "build" / "artifacts" / "contracts"
        singleton = world.deploy(_read_artifact(artifacts / "Safe.sol" / "Safe.json"))
        factory = world.deploy(_read_artifact(artifacts / "proxies" / "SafeProxyFactory.sol" / "SafeProxyFactory.json"))
        setup = encode_call(
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            owners, threshold, _NOBODY, b"", handler, _NOBODY, 0, _NOBODY,
        )  # fmt: skip
        call = encode_call("createProxyWithNonce(address,bytes,uint256)", singleton, setup, 0)
        self.address = ask(world, factory, call)[12:]
        send(world, factory, call)

    def compute_hash(self, target: bytes, value: int, data: bytes) -> bytes:
        """What owners sign for the Safe's next transaction."""
        nonce = int.from_bytes(ask(self.world, self.address, encode_call("nonce()")), "big")
        types = "(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,uint256)"
        call = encode_call(f"getTransactionHash{types}", target, value, data, *_NO_REFUND, nonce)
        return ask(self.world, self.address, call)

    def encode_transaction(self, target: bytes, value: int, data: bytes, signatures: bytes) -> bytes:
        """The call that does it."""
        types = "(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)"
        return encode_call(f"execTransaction{types}", target, value, data, *_NO_REFUND, signatures)

    def transact(self, target: bytes, data: bytes, owner: PrivateKey) -> None:
        """A transaction of a Safe with one owner."""
        signature = sign_ecdsa(owner, self.compute_hash(target, 0, data))
        send(self.world, self.address, self.encode_transaction(target, 0, data, signature))


class SafeAccount(ModuleAccount):
    """A Safe with one owner, and Rhinestone's adapter for modules. The adapter knows EntryPoint 0.7 alone."""

    kind = "Safe"
    entry_point = _ENTRY_POINT_07

    def _create(self) -> bytes:
        code = _read_artifact(install_accounts() / "account-abstraction-0.7" / "artifacts" / "EntryPoint.json")
        if not self.world.has_code(self.entry_point):
            send(self.world, DEPLOYER, _ENTRY_POINT_07_SALT + code)
        adapter = self._deploy(load_published("Safe7579Precompiles", "SAFE7579_BYTECODE"))
        self.safe = Safe(self.world, [address_of(self.owner)], 1, handler=adapter)
        lists = ",".join(["(address,bytes)[]"] * 4)
        nothing = encode_call(f"initializeAccount({lists},(address,address[],uint8))", [], [], [], [], (_NOBODY, [], 0))
        for call in (encode_call("enableModule(address)", adapter), nothing):
            self.safe.transact(self.safe.address, call, make_key(self.owner))
        return self.safe.address

    def install(self, module: bytes, key: bytes) -> None:
        self.safe.transact(self.address, self._install_call(module, key), make_key(self.owner))


KINDS: Final[tuple[type[ModuleAccount], ...]] = (OpenZeppelinAccount, NexusAccount, KernelAccount, SafeAccount)
