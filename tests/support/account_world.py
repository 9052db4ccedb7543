"""A keystore with its accounts' contracts on a real EVM: what tests of smart accounts are played on.

Nothing in it is a stand-in but the bridge, whose alias anvil impersonates: a real ledger proves, the real roots'
contract takes what the bridge brings, the published EntryPoint 0.8 handles operations at its canonical address.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import decode, encode
from msgspec.structs import replace

from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.smart_account import (
    DEPLOYER,
    ENTRY_POINT,
    PUBLISHED_VALIDATORS,
    Call,
    Configuration,
    Opening,
    UserOperation,
    compute_account_address,
    compute_data,
    compute_deployed_address,
    compute_user_operation_hash,
    encode_deployment,
    encode_execute,
    encode_factory_creation,
    encode_handle_ops,
    encode_signature,
    load_creation_code,
    open_absent,
    open_present,
    sign_ecdsa,
)
from apps.keystore.transitions import Register, Update
from contract_calls import Contract, Reverted, get_selector
from contract_calls import _send as send_transaction
from kernel_fixtures import Chain, fast_directory
from l1_fixtures import FOUNDRY, Anvil, run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.execution.authentication import Authenticator
from microrollup.ledger.reading import StateProof, prove_state
from microrollup.primitives import Bytes, Bytes32
from microrollup.testing.signing import sign_action

PACKAGE: Final = "apps.keystore.contracts"
ENTRY_POINT_ARTIFACT: Final = "@account-abstraction/contracts/artifacts/EntryPoint.json"
ENTRY_POINT_SALT: Final = bytes.fromhex("0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9")
"""The salt with which its authors deploy it."""
SENDER: Final = keccak256(b"the broadcaster's adapter on L1")[12:]
ALIAS: Final = (int.from_bytes(SENDER, "big") + int("1111" + "0" * 32 + "1111", 16)) % 2**160
RECIPIENT: Final = keccak256(b"a recipient")[12:]
VALIDATORS: Final = (*PUBLISHED_VALIDATORS, "BlsValidator")
ETHER: Final = 10**18
FAILURES: Final = [
    {
        "type": "error",
        "name": name,
        "inputs": [{"name": "opIndex", "type": "uint256"}, {"name": "reason", "type": "string"}, *more],
    }
    for name, more in (("FailedOp", []), ("FailedOpWithRevert", [{"name": "inner", "type": "bytes"}]))
]
"""The entry point's errors for an operation that it does not take."""
NO_SALT: Final = bytes(32)


def make_key(name: str) -> PrivateKey:
    """A private key by a name."""
    return load_private_key(keccak256(name.encode()))


def address_of(name: str) -> bytes:
    """The address of the key of a name."""
    return compute_address(make_key(name))


def show(raw: bytes) -> str:
    """As JSON-RPC takes bytes."""
    return "0x" + raw.hex()


class Keystore:
    """A ledger of the keystore, whose builder closes a block when it is asked for a proof."""

    def __init__(self, directory: Path) -> None:
        self.chain = Chain(directory, app)
        self.authenticator = Authenticator(app.action_types, app.make_domain())
        self.nonces: dict[str, int] = {}

    def _submit(self, action: Register | Update, name: str) -> None:
        nonce = self.nonces.get(name, 0)
        self.nonces[name] = nonce + 1
        line = sign_action(app, action, nonce, make_key(name))
        self.chain.submit(self.authenticator.authenticate_line(line))
        self.chain.close_block()
        self.chain.advance()

    def register(self, configuration: Configuration, name: str, salt: bytes = NO_SALT) -> bytes:
        """Register a configuration; its vk is the name's address. Gives the key."""
        data = compute_data(configuration)
        self._submit(Register(Bytes32(data[:32]), Bytes32(data[32:]), Bytes32(salt)), name)
        return compute_account_key(salt, data, address_of(name))

    def rotate(self, key: bytes, configuration: Configuration, name: str, vk: bytes | None = None) -> None:
        """Replace a key's configuration (and its vk); the name's key signs."""
        data = compute_data(configuration)
        chosen = address_of(name) if vk is None else vk
        self._submit(Update(Bytes32(key), Bytes32(data[:32]), Bytes32(data[32:]), Bytes(chosen)), name)

    def prove(self, key: bytes) -> StateProof:
        """What the newest block holds at a key."""
        field = app.state_type.get_field("accounts")
        return prove_state(self.chain.ledger.environment, self.chain.ledger.tree, field, key)

    def get_root(self) -> tuple[bytes, int]:
        """The newest state root, and its height."""
        proof = self.prove(bytes(32))
        return proof.header.state_root, proof.header.height

    def open(self, key: bytes, configuration: Configuration, vk: bytes) -> Opening:
        """Show a configuration that is registered."""
        return open_present(key, configuration, vk, self.prove(key).proof)

    def open_first(self, configuration: Configuration, vk: bytes, salt: bytes = NO_SALT) -> Opening:
        """Show the first configuration of a key that was never registered."""
        key = compute_account_key(salt, compute_data(configuration), vk)
        return open_absent(configuration, vk, salt, self.prove(key).proof)


class World:
    """An L2 with everything deployed."""

    def __init__(self, anvil: Anvil, keystore: Keystore) -> None:
        self.anvil = anvil
        self.keystore = keystore
        self.funder: str = anvil.call("eth_accounts")[0]
        self.chain_id = int(anvil.call("eth_chainId"), 16)
        published = json.loads((FOUNDRY / "node_modules" / ENTRY_POINT_ARTIFACT).read_text())["bytecode"]
        self._send(DEPLOYER, ENTRY_POINT_SALT + bytes.fromhex(published[2:]))
        for validator in VALIDATORS:
            self.deploy(load_creation_code(validator))
        origin = self.deploy(load_creation_code("ArbitrumOrigin") + SENDER.rjust(32, b"\0"))
        arguments = bytes(32) + origin.rjust(32, b"\0") + bytes(32)
        self.roots = self.deploy(load_creation_code("KeystoreRoots") + arguments)
        owner = bytes.fromhex(self.funder[2:])
        self.factory = self.deploy(encode_factory_creation(self.roots, owner))
        stake = self.call_contract(self.factory, "KeystoreAccountFactory").encode("addStake", 86_400)
        self._send(self.factory, bytes.fromhex(stake[2:]), value=ETHER)
        self.bundler = show(address_of("a bundler"))
        self._impersonate(self.bundler)

    def _impersonate(self, address: str) -> None:
        self.anvil.call("anvil_impersonateAccount", address)
        self.anvil.call("anvil_setBalance", address, hex(1_000 * ETHER))

    def _send(self, target: bytes, data: bytes, sender: str | None = None, value: int = 0) -> dict[str, Any]:
        transaction = {
            "from": sender or self.funder,
            "to": show(target),
            "data": show(data),
            "value": hex(value),
        }
        return send_transaction(self.anvil, transaction)

    def deploy(self, creation_code: bytes) -> bytes:
        """Deploy through the deterministic deployment proxy; gives the address, where there is code now."""
        address = compute_deployed_address(creation_code)
        if not self.has_code(address):
            self._send(DEPLOYER, encode_deployment(creation_code))
        assert self.has_code(address)
        return address

    def has_code(self, address: bytes) -> bool:
        """Whether something is deployed there."""
        return str(self.anvil.call("eth_getCode", show(address), "latest")) != "0x"

    def get_balance(self, address: bytes) -> int:
        """Wei."""
        return int(self.anvil.call("eth_getBalance", show(address), "latest"), 16)

    def get_time(self) -> int:
        """Seconds, of the newest block."""
        return int(self.anvil.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def fund(self, address: bytes) -> None:
        """Give an account ten ether."""
        self.anvil.call("anvil_setBalance", show(address), hex(10 * ETHER))

    def call_contract(self, address: bytes, artifact: str) -> Contract:
        """A contract by its artifact."""
        return Contract(self.anvil, load_artifact(artifact, PACKAGE), show(address))

    def mirror(self) -> None:
        """The bridge brings the keystore's newest root, which L1 holds now."""
        root, height = self.keystore.get_root()
        alias = f"0x{ALIAS:040x}"
        self._impersonate(alias)
        roots = self.call_contract(self.roots, "KeystoreRoots")
        roots.send("receiveRoot", root, height, self.get_time(), self.get_time(), sender=alias)

    def push(self, account: bytes) -> None:
        """Somebody renews an account's copy of the root."""
        self.call_contract(account, "KeystoreAccount").send("pushRoot", sender=self.bundler)

    def account_of(self, key: bytes) -> bytes:
        """The account of a key."""
        return compute_account_address(self.factory, key)

    def get_nonce(self, account: bytes) -> int:
        """The next nonce, from the entry point."""
        return int.from_bytes(self._ask("getNonce(address,uint192)", ["address", "uint192"], [account, 0]), "big")

    def ask_hash(self, operation: UserOperation) -> bytes:
        """The operation's hash, as the entry point computes it."""
        call = encode_handle_ops([operation], bytes(20))
        types = ["(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[]", "address"]
        ((packed,), _beneficiary) = decode(types, call[4:])
        return self._ask(f"getUserOpHash({types[0][:-2]})", [types[0][:-2]], [packed])

    def _ask(self, signature: str, types: list[str], arguments: list[Any]) -> bytes:
        data = keccak256(signature.encode())[:4] + encode(types, arguments)
        answer = self.anvil.call("eth_call", {"to": show(ENTRY_POINT), "data": show(data)}, "latest")
        return bytes.fromhex(answer[2:])

    def compute_hash(self, operation: UserOperation) -> bytes:
        """The operation's hash, as the wallet computes it."""
        return compute_user_operation_hash(operation, ENTRY_POINT, self.chain_id)

    def make_transaction(self, operation: UserOperation, entry_point: bytes = ENTRY_POINT) -> dict[str, str]:
        """The bundler's transaction for one operation."""
        data = encode_handle_ops([operation], bytes.fromhex(self.bundler[2:]))
        return {"from": self.bundler, "to": show(entry_point), "data": show(data), "gas": hex(8_000_000)}

    def make_transfer(self, account: bytes, init_code: bytes = b"") -> UserOperation:
        """An operation that sends one wei, paid for by the account, not signed yet."""
        return UserOperation(
            account,
            self.get_nonce(account),
            encode_execute(Call(RECIPIENT, 1)),
            init_code,
            verification_gas_limit=600_000,
            call_gas_limit=100_000,
            pre_verification_gas=60_000,
            max_priority_fee_per_gas=10**9,
            max_fee_per_gas=4 * 10**9,
        )

    def sign(
        self, operation: UserOperation, configuration: Configuration, opening: Opening, name: str
    ) -> UserOperation:
        """The operation, signed by the Ethereum key of a name."""
        signature = sign_ecdsa(make_key(name), self.compute_hash(operation))
        return replace(operation, signature=encode_signature(configuration, opening, signature))

    def refuse(self, operation: UserOperation, entry_point: bytes = ENTRY_POINT) -> str:
        """Why the entry point refuses an operation; empty if it takes it."""
        contract = Contract(self.anvil, load_artifact("KeystoreAccount", PACKAGE), show(entry_point))
        contract.errors |= {get_selector(entry): entry for entry in FAILURES}
        answer = contract._call(self.make_transaction(operation, entry_point), {})
        return answer.arguments["reason"] if isinstance(answer, Reverted) else ""

    def handle(self, operation: UserOperation, entry_point: bytes = ENTRY_POINT) -> dict[str, Any]:
        """Have the operation done; the receipt."""
        transaction = self.make_transaction(operation, entry_point)
        assert "" == self.refuse(operation, entry_point)
        return self._send(entry_point, bytes.fromhex(transaction["data"][2:]), self.bundler)


@contextmanager
def run_world(*arguments: str) -> Iterator[World]:
    """An L2 and a keystore for one module of tests."""
    with fast_directory() as directory, run_anvil(*arguments) as anvil:
        keystore = Keystore(directory)
        try:
            yield World(anvil, keystore)
        finally:
            keystore.chain.close()
