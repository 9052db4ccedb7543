"""A node is the gateway of its own names: ethers and viem resolve them by ENS's interfaces, on a real L1.

Node, inbox, resolver, account factories and client libraries are real. ENS's registry and Universal Resolver are
written for this test (`tests/support/ens_contracts`), as no package brings their bytecode.
"""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest
from eth_abi.abi import encode

from account_world import run_world
from apps.keystore.plus.ens import answer_gateway
from apps.keystore.plus.naming import CommitName, RegisterNamed, SetText, compute_commitment, compute_named_key
from apps.keystore.smart_account import encode_factory_creation
from contract_calls import Contract
from http_gateway import HttpGateway
from kernel_fixtures import Chain as Ledger
from kernel_fixtures import fast_directory
from l1_node_fixtures import Node, RollupSite, Zygote, run_chain
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import PrivateKey, compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.declaration.action import Action
from microrollup.ledger.reading import prove_state
from microrollup.testing.anvil import DEV_KEYS
from microrollup.testing.signing import sign_action
from named_keys import PARENT, PARENT_NAME, app, compute_node
from npm import install_npm
from paths import TESTS
from waiting import SECONDS, wait_for

pytestmark = pytest.mark.slow

ALICE, CAROL = (load_private_key(keccak256(name)) for name in (b"alice of names", b"carol of names"))
SECRET, CODE, CONFIG = b"\x5e" * 32, b"\x0c" * 32, b"\x0f" * 32
OP, BASE = 10, 8453
COIN_OP, COIN_BASE = 0x80000000 | OP, 0x80000000 | BASE
"""ENSIP-11."""
OWN_TYPE: Final = 999_999_999
MAKER = f"0x{compute_address(load_private_key(bytes.fromhex(DEV_KEYS[0]))).hex()}"
WAYS: Final = ("registry", "universal", "viem")

Answer = str | None


class Names:
    """A node with names, what is deployed around it, and who asks."""

    def __init__(self, site: RollupSite, node: Node, wallets: Path, factories: dict[int, Contract]) -> None:
        self.site = site
        self.node = node
        self.wallets = wallets
        self.anvil = site.chain.anvil
        self.nonces: dict[bytes, int] = {}
        self.factories = factories
        self.registry = self._deploy("EnsRegistry")
        self.universal = self._deploy("UniversalResolver", self.registry.address)

    def _deploy(self, name: str, *arguments: Any) -> Contract:
        return Contract.deploy(self.anvil, load_artifact(name, "ens_contracts"), list(arguments), MAKER)

    def submit(self, key: PrivateKey, action: Action) -> None:
        """Until it is in a closed block."""
        sender = compute_address(key)
        nonce = self.nonces.get(sender, 0)
        self.nonces[sender] = nonce + 1
        domain = app.make_domain(verifying_contract=bytes.fromhex(self.site.inbox[2:]))
        (answer,) = self.node.submit(sign_action(app, action, nonce, key, domain))
        digest = answer["ack"]["actionHash"]
        receipt = wait_for(lambda: self._find_closed(digest))
        assert "executed" == receipt["status"], receipt

    def _find_closed(self, digest: str) -> Any:
        receipt = self.node.call("getReceipt", hash=digest)
        return receipt["confirmation"] != "C0" and receipt

    def register(self, label: str, key: PrivateKey) -> bytes:
        """Commit to a name and take it; the account's key."""
        self.submit(key, CommitName(compute_commitment(label, compute_address(key), SECRET)))
        self.submit(key, RegisterNamed(label, SECRET, CODE, CONFIG))
        return compute_named_key(PARENT, label)

    def use(self, *templates: str) -> None:
        """Make a resolver with these gateways the one of the parent name."""
        chains = [
            (coin_type, factory.address, factory.call("implementation")[0])
            for coin_type, factory in self.factories.items()
        ]
        arguments = [self.site.inbox, PARENT, OWN_TYPE, chains, list(templates)]
        artifact = load_artifact("KeystoreResolver", "apps.keystore.contracts")
        resolver = Contract.deploy(self.anvil, artifact, arguments, MAKER)
        self.registry.send("setResolver", compute_node(PARENT_NAME), resolver.address, sender=MAKER)

    def use_node(self) -> None:
        self.use(f"{self.node.url}/ens/{{sender}}/{{data}}.json")

    def ask(self, *questions: tuple[str, int | str]) -> dict[str, list[Answer]]:
        """What the libraries find: (name, coin type or text record)."""
        given = {
            "url": self.anvil.url, "registry": self.registry.address, "universal": self.universal.address,
            "questions": questions,
        }  # fmt: skip
        completed = subprocess.run(
            ["node", "resolve_names.mjs"],
            cwd=self.wallets, input=json.dumps(given), capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert (0, "") == (completed.returncode, completed.stderr)
        found: dict[str, list[Answer]] = json.loads(completed.stdout)
        return {way: [answer and answer.lower() for answer in answers] for way, answers in found.items()}

    def ask_node(self, data: bytes, *, verb: str = "GET") -> tuple[int, dict[str, str]]:
        """Status and answer of the node's gateway."""
        sender, shown = "0x" + "5e" * 20, f"0x{data.hex()}"
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=SECONDS)
        with closing(connection):
            if verb == "GET":
                connection.request("GET", f"/ens/{sender}/{shown}.json")
            else:
                body = json.dumps({"data": shown, "sender": sender})
                connection.request("POST", "/ens", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            assert "*" == response.headers["Access-Control-Allow-Origin"]
            return response.status, json.loads(response.read())

    def relay(self, data: bytes) -> bytes:
        """The node's answer."""
        status, answer = self.ask_node(data)
        assert 200 == status, answer
        return bytes.fromhex(answer["data"][2:])


@pytest.fixture(scope="module")
def factories() -> Iterator[dict[int, Contract]]:
    """Coin type -> the factory of accounts on one of two L2s; the second has another owner, so another address."""
    with ExitStack() as stack:
        worlds = {coin_type: stack.enter_context(run_world()) for coin_type in (COIN_OP, COIN_BASE)}
        base = worlds[COIN_BASE]
        addresses = {
            COIN_OP: worlds[COIN_OP].factory,
            COIN_BASE: base.deploy(encode_factory_creation(base.roots, compute_address(ALICE))),
        }
        yield {
            coin_type: world.call_contract(addresses[coin_type], "KeystoreAccountFactory")
            for coin_type, world in worlds.items()
        }


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory, factories: dict[int, Contract]) -> Iterator[Names]:
    """A running node, where Alice has a name with a text record, and all that is settled."""
    wallets = install_npm(TESTS / "wallets")
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path_factory.mktemp("names"), chain, zygote, "named_keys")
        site.deploy("--da", "calldata")
        with site.run() as node:
            names = Names(site, node, wallets, factories)
            key = names.register("alice", ALICE)
            names.submit(ALICE, SetText(key, "url", "https://alice.example"))
            names.register("carol", CAROL)
            node.wait_until_settled("available")
            yield names
            assert 0 == node.command.stop()


NAME = f"alice.{PARENT_NAME}"


def find_accounts(names: Names, label: str) -> list[Answer]:
    """Where the factories of both L2s say that the account is."""
    key = compute_named_key(PARENT, label)
    return [str(factory.call("getAccount", key)[0]) for factory in names.factories.values()]


def test_wallets_resolve_names(names: Names) -> None:
    """The address on each L2 is the one that its factory gives; nothing for who is not there, nor for other chains."""
    names.use_node()
    accounts = find_accounts(names, "alice")
    assert 2 == len(set(accounts))
    questions: list[tuple[str, int | str]] = [
        (NAME, COIN_OP), (NAME, COIN_BASE), (NAME, "url"), (NAME, "avatar"), (NAME, 0x80000001), (NAME, 60),
        (f"nobody.{PARENT_NAME}", COIN_OP), (f"nobody.{PARENT_NAME}", "url"),
        (f"deep.{NAME}", COIN_OP), ("alice.example.eth", COIN_OP),
    ]  # fmt: skip
    found = names.ask(*questions)
    assert {way: [*accounts, "https://alice.example"] for way in WAYS} == {way: found[way][:3] for way in WAYS}
    nothing = {way: {answer or None for answer in found[way][3:]} - {"failed"} for way in WAYS}
    assert {way: {None} for way in WAYS} == nothing
    # A name without any resolver above it is an error to ethers by its Universal Resolver; everything else is nothing.
    assert ["failed"] * 1 == [answer for answer in found["universal"] if answer == "failed"]


def test_post_and_a_change(names: Names) -> None:
    """A gateway that is asked by POST; what changes is seen when it has settled."""
    names.use(f"{names.node.url}/ens")
    names.submit(ALICE, SetText(compute_named_key(PARENT, "alice"), "url", "https://alice.example/new"))
    names.node.wait_until_settled("available")
    assert {way: ["https://alice.example/new"] for way in WAYS} == names.ask((NAME, "url"))
    names.submit(ALICE, SetText(compute_named_key(PARENT, "alice"), "url", "https://alice.example"))
    names.node.wait_until_settled("available")


def ask_for(label: str, silo: int = 0) -> bytes:
    """What the resolver asks a gateway about an account."""
    selector = keccak256(b"prove(uint16,bytes32)")[:4]
    return selector + encode(["uint16", "bytes32"], [silo, compute_named_key(PARENT, label)])


def answer_for_carol(names: Names) -> Callable[[bytes], bytes]:
    """A gateway that lies: it proves, truly, what nobody asked."""
    return lambda _: names.relay(ask_for("carol"))


def answer_absence(names: Names) -> Callable[[bytes], bytes]:
    """A gateway that lies: the name is not there."""
    return lambda _: names.relay(ask_for("nobody"))


def answer_late(names: Names) -> Callable[[bytes], bytes]:
    """A gateway that is slow: when its answer comes, L1 holds another root."""

    def answer(data: bytes) -> bytes:
        early = names.relay(data)
        root = names.site.read_root()
        names.submit(CAROL, SetText(compute_named_key(PARENT, "carol"), "n", str(len(names.nonces) + asked.pop())))
        wait_for(lambda: names.site.read_root() != root)
        return early

    asked = list(range(100))
    return answer


def answer_elsewhere(_: Names) -> Callable[[bytes], bytes]:
    """A gateway of another rollup, where somebody else has the name."""

    def answer(data: bytes) -> bytes:
        with fast_directory() as directory, closing(Ledger(directory, app)) as chain:
            sender = compute_address(CAROL)
            for action in (
                CommitName(compute_commitment("alice", sender, SECRET)),
                RegisterNamed("alice", SECRET, CODE, CONFIG),
            ):
                chain.submit(chain.signer.sign(action))
                chain.close_block()
            ledger = chain.ledger

            def prove(name: str, key: bytes) -> Any:
                return prove_state(ledger.environment, ledger.tree, app.state_type.get_field(name), key)

            return answer_gateway(data, prove)

    return answer


@pytest.mark.parametrize("make", [answer_for_carol, answer_absence, answer_late, answer_elsewhere])
def test_a_gateway_that_cannot_be_trusted(names: Names, make: Callable[[Names], Callable[[bytes], bytes]]) -> None:
    """It resolves to nothing, never to something else."""
    with closing(HttpGateway(make(names))) as gateway:
        names.use(gateway.template)
        found = names.ask((NAME, COIN_OP))
        assert {way: [None] for way in WAYS} == found
        assert 3 == len(gateway.asked)
    names.use_node()
    names.node.wait_until_settled("available")
    assert find_accounts(names, "alice")[:1] == names.ask((NAME, COIN_OP))["viem"]


def test_the_next_gateway_is_asked(names: Names) -> None:
    """Where one does not answer, or cannot, the next of the resolver's gateways does."""

    def fail(_: bytes) -> bytes:
        raise NotImplementedError

    with closing(HttpGateway(fail)) as broken:
        names.use(broken.template, "http://127.0.0.1:9/{sender}/{data}.json", f"{names.node.url}/ens")
        assert {way: find_accounts(names, "alice") for way in WAYS} == names.ask((NAME, COIN_OP), (NAME, COIN_BASE))


def test_the_gateway_by_itself(names: Names) -> None:
    """Anybody may ask for any account; what is not a question of the resolver gets 400 and a message."""
    for verb in ("GET", "POST"):
        status, answer = names.ask_node(ask_for("alice"), verb=verb)
        assert (200, ["data"]) == (status, list(answer))
        for wrong in (b"", bytes(68), ask_for("alice", silo=1), ask_for("alice") + bytes(1)):
            status, answer = names.ask_node(wrong, verb=verb)
            assert (400, ["message"]) == (status, list(answer))
