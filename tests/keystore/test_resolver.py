"""Names of accounts, resolved by ethers and viem: Keystore+ registers, an inbox on anvil settles, a gateway proves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from eth_abi.abi import encode

from apps.keystore.accounts import compute_account_key
from apps.keystore.plus.config import Config
from apps.keystore.plus.ens import answer_gateway, encode_dns_name, encode_resolve
from apps.keystore.plus.naming import CommitName, RegisterNamed, SetText, compute_commitment, compute_named_key
from apps.keystore.plus.rollup import make_app
from apps.keystore.proofs import encode_proof
from apps.keystore.smart_account import compute_account_address, compute_implementation_address
from contract_calls import Contract
from http_gateway import HttpGateway
from inbox_twin import START, InboxTwin
from kernel_fixtures import Chain, fast_directory, make_key
from l1_fixtures import Anvil, run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError, UsageError
from microrollup.ledger.reading import StateProof, prove_state
from npm import install_npm
from paths import TESTS
from waiting import SECONDS

PARENT_NAME: Final = "keys.example.eth"
FACTORY: Final = b"\xfa" * 20
OPTIMISM: Final = 0x8000000A
OWN_TYPE: Final = 999_999_999
SECRET, CODE, CONFIG = b"\x5e" * 32, b"\x0c" * 32, b"\x0f" * 32


def compute_node(name: str) -> bytes:
    """ERC-137's namehash."""
    node = bytes(32)
    for label in reversed(name.split(".")):
        node = compute_named_key(node, label)
    return node


PARENT: Final = compute_node(PARENT_NAME)


class Gateway(HttpGateway):
    """A gateway over a ledger; `lie` makes it answer for the wrong key, as one that cannot be trusted."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(self.answer)
        self.chain = chain
        self.lie = False

    def answer(self, data: bytes) -> bytes:
        return answer_gateway(data, self.prove)

    def prove(self, field: str, key: bytes) -> StateProof:
        if self.lie:
            key = keccak256(key)
        found = self.chain.rollup.state_type.get_field(field)
        return prove_state(self.chain.ledger.environment, self.chain.ledger.tree, found, key)


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    """L1."""
    with run_anvil(timestamp=START) as running:
        yield running


@pytest.fixture(scope="module")
def wallets() -> Path:
    """Both libraries, in the pinned versions."""
    return install_npm(TESTS / "wallets")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """Keystore+ with `alice` below the parent, who has a text record, and a gateway to it."""
    with fast_directory() as directory, closing(Chain(directory, make_app(Config(parent_node=PARENT)))) as chain:
        sender = compute_address(make_key("alice"))
        chain.submit(chain.signer.sign(CommitName(compute_commitment("alice", sender, SECRET))))
        chain.close_block()
        chain.submit(chain.signer.sign(RegisterNamed("alice", SECRET, CODE, CONFIG)))
        chain.submit(chain.signer.sign(SetText(compute_named_key(PARENT, "alice"), "url", "https://alice.example")))
        chain.close_block()
        with closing(Gateway(chain)) as running:
            yield running


def deploy(anvil: Anvil, inbox: InboxTwin, url: str) -> Contract:
    """The resolver for the ether address, one L2 and the rollup's own type."""
    chains = [(coin_type, FACTORY, compute_implementation_address(FACTORY)) for coin_type in (60, OPTIMISM)]
    arguments = [inbox.address, PARENT, OWN_TYPE, chains, [url]]
    artifact = load_artifact("KeystoreResolver", "apps.keystore.contracts")
    return Contract.deploy(anvil, artifact, arguments, inbox.builder)


def query(signature: str, label: str, *rest: Any) -> bytes:
    """The call that asks for a record of a name."""
    types = signature.split("(")[1][:-1].split(",")
    selector = keccak256(signature.encode())[:4]
    return encode_resolve(f"{label}.{PARENT_NAME}", selector + encode(types, [compute_named_key(PARENT, label), *rest]))


QUERIES: Final = [
    query("addr(bytes32)", "alice"),
    query("addr(bytes32,uint256)", "alice", OPTIMISM),
    query("addr(bytes32,uint256)", "alice", OWN_TYPE),
    query("addr(bytes32,uint256)", "alice", 0),
    query("text(bytes32,string)", "alice", "url"),
    query("text(bytes32,string)", "alice", "avatar"),
    query("addr(bytes32)", "bob"),
    query("text(bytes32,string)", "bob", "url"),
]


def ask(folder: Path, anvil: Anvil, resolver: Contract, calls: list[bytes]) -> dict[str, list[str | None]]:
    """What the two libraries make of the calls."""
    given = {"url": anvil.url, "resolver": resolver.address, "calls": [f"0x{call.hex()}" for call in calls]}
    completed = subprocess.run(
        ["node", "resolve_ens.mjs"],
        cwd=folder, input=json.dumps(given), capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert (0, "") == (completed.returncode, completed.stderr)
    results: dict[str, list[str | None]] = json.loads(completed.stdout)
    return results


def test_libraries_resolve_names(anvil: Anvil, wallets: Path, gateway: Gateway) -> None:
    """Addresses, the key, texts, and nothing for who is not there; a gateway that lies gets no word in."""
    inbox = InboxTwin(anvil, keccak256(b"genesis"))
    resolver = deploy(anvil, inbox, gateway.template)
    # The gateway is ahead of L1: what is not settled resolves to nothing yet.
    unsettled = ask(wallets, anvil, resolver, QUERIES[:1])
    assert {"ethers": [None], "viem": [None]} == unsettled
    header = gateway.chain.ledger.get_header(gateway.chain.ledger.checkpoint.height)
    inbox.settle(header.state_root)

    key = compute_named_key(PARENT, "alice")
    address = compute_account_address(FACTORY, key)
    expected = [
        encode(["address"], [address]),
        encode(["bytes"], [address]),
        encode(["bytes"], [key]),
        encode(["bytes"], [b""]),
        encode(["string"], ["https://alice.example"]),
        encode(["string"], [""]),
        encode(["address"], [bytes(20)]),
        encode(["string"], [""]),
    ]
    words = [f"0x{answer.hex()}" for answer in expected]
    assert {"ethers": words, "viem": words} == ask(wallets, anvil, resolver, QUERIES)
    assert {"GET"} == set(gateway.asked)

    gateway.asked.clear()
    posting = deploy(anvil, inbox, gateway.url)
    assert {"ethers": words[:1], "viem": words[:1]} == ask(wallets, anvil, posting, QUERIES[:1])
    assert {"POST"} == set(gateway.asked)
    gateway.lie = True
    try:
        assert {"ethers": [None], "viem": [None]} == ask(wallets, anvil, resolver, QUERIES[:1])
    finally:
        gateway.lie = False


def test_answers(gateway: Gateway) -> None:
    """What a gateway answers, and what it is not asked."""
    key = compute_named_key(PARENT, "alice")
    selector = keccak256(b"prove(uint16,bytes32)")[:4]
    answer = gateway.answer(selector + encode(["uint16", "bytes32"], [0, key]))
    shown = gateway.prove("keystore.accounts", key)
    proof = encode_proof(True, shown.proof)
    value = keccak256(CODE + CONFIG) + keccak256(compute_address(make_key("alice")))
    assert encode(["bool", "bytes", "bytes"], [True, value, proof]) == answer
    for wrong in (b"", selector, selector + encode(["uint16", "bytes32"], [1, key]), bytes(68)):
        with pytest.raises(DecodeError):
            gateway.answer(wrong)


def test_a_named_key_has_no_first_configuration(gateway: Gateway) -> None:
    """It is the hash of 64 bytes, and that of an account's first configuration is of 96: no absence opens it."""
    sender = compute_address(make_key("alice"))
    for salt in (bytes(32), PARENT, keccak256(b"alice")):
        assert compute_named_key(PARENT, "alice") != compute_account_key(salt, CODE + CONFIG, sender)
    assert gateway.prove("keystore.accounts", compute_named_key(PARENT, "alice")).exists


def test_dns_names() -> None:
    """Labels after their lengths; none empty, none too long."""
    assert b"\5alice\3eth\0" == encode_dns_name("alice.eth")
    for wrong in ("", "a..b", "a" * 64):
        with pytest.raises(UsageError):
            encode_dns_name(wrong)
