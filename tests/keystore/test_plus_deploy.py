"""A Keystore+ deployed with its vault by the command: a module that others load, who could take the money, going on
after a cut, and what a client finds out about a vault that is not the one it should be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apps.keystore.axiom.bridge_calls import encode_deposit_data, encode_initiate_l1_transaction
from apps.keystore.axiom.transactions import DEPOSIT
from apps.keystore.chains.plan import L2_MESSENGER
from apps.keystore.order_calls import encode_settler_creation, encode_verdicts_creation
from apps.keystore.plus.command import main
from apps.keystore.plus.config import Config, OrderSettler, PriceCap
from apps.keystore.plus.deploying import check_custody, deploy_plus, plan_vault
from apps.keystore.plus.module_file import write_module_text
from apps.keystore.plus.order_bridges import encode_origin_creation
from apps.keystore.plus.rollup import make_app
from apps.keystore.smart_account import compute_deployed_address
from apps.keystore.story.exits import install_exit, install_l1_messenger
from apps.keystore.vault_calls import ETHER, encode_deposit
from apps.keystore.vault_creation import (
    compute_vault_salt,
    encode_escape_verifier_creation,
    encode_vault_creation,
)
from contract_calls import Contract
from l1_fixtures import Anvil, run_anvil
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.deploying import deploy_rollup
from microrollup.deployment.place_file import find_place
from microrollup.errors import UsageError
from microrollup.primitives import ZERO_ADDRESS
from microrollup.settlement.ethereum.contracts import ask_contract, create_contract, send_call
from microrollup.settlement.place import EthereumPlace, make_options
from microrollup.testing.anvil import DEV_KEYS

PAYER = load_private_key(bytes.fromhex(DEV_KEYS[0]))
PACKAGE = "apps.keystore.contracts"


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with run_anvil() as anvil:
        anvil.mine(3)
        yield anvil


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "payer.key").write_text(DEV_KEYS[0])
    return tmp_path


def make_place(anvil: Anvil) -> EthereumPlace:
    return EthereumPlace(anvil.url, "0x" + "00" * 20, "calldata", depth=1)


def deploy(anvil: Anvil, name: str, *options: str, data: str = "node") -> list[str]:
    return ["deploy", name, "--data", data, "--l1-url", anvil.url, "--key", "payer.key", "--l1-depth", "1", *options]


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """The JSON of a command, or what it says on standard error."""
    capsys.readouterr()
    assert code == main([*arguments, "--json"])
    said = capsys.readouterr()
    assert "l1_sent" not in said.err  # unless --verbose wants it
    return json.loads(said.out) if code == 0 else said.err


def test_deployed_by_a_command(anvil: Anvil, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Vault and inbox mean each other, nobody owns the inbox, batches go to calldata, and the module is the rollup that
    others load; the same command once more changes nothing, and pays for nothing.
    """
    options = ["--fund", "1", "--collector", "c0" * 32, "--price-cap", "1000", "--price-cap", "0x" + "7e" * 20 + "=5"]
    made = run(capsys, *deploy(anvil, "bank_of_alice", *options))
    place = find_place(here / "node", None)
    assert isinstance(place, EthereumPlace)
    assert ("calldata", "0x" + "00" * 20) == (place.da, made["owner"])
    assert [
        {"who": "1 of the 1 verifiers together", "after": "at once"}, {"who": "anybody else", "after": "never"}
    ] == made["takers"]  # fmt: skip
    caps = (PriceCap(ZERO_ADDRESS, 1_000), PriceCap(b"\x7e" * 20, 5))
    app = load_rollup("bank_of_alice")
    expected = Config(bytes.fromhex(made["vault"][2:]), collector=b"\xc0" * 32, price_caps=caps)
    assert expected == app.genesis.config  # type: ignore[attr-defined]
    vault = Contract(anvil, load_artifact("KeystoreVault", PACKAGE), made["vault"])
    assert (made["inbox"],) == vault.call("inbox")
    assert 10**18 == int(anvil.call("eth_getBalance", made["builder"], "latest"), 16)

    again = run(capsys, *deploy(anvil, "bank_of_alice", *options))
    assert made | {"gasUsed": 0} == again
    shown = run(capsys, "vault", "bank_of_alice", "--data", "node")
    there = run(capsys, "vault", "bank_of_alice", "--l1-url", anvil.url, "--inbox", made["inbox"], "--l1-depth", "1")
    assert {name: made[name] for name in shown} == shown == there

    options = make_options(place)
    data = encode_deposit(ETHER, b"\x0a" * 32, 5, b"\x0b" * 20, bytes.fromhex(made["rollupId"][2:]))
    assert send_call(options, PAYER, vault_address := bytes.fromhex(made["vault"][2:]), data, 5).succeeded
    assert 1 == int.from_bytes(ask_contract(options, vault_address, bytes.fromhex(vault.encode("depositCount")[2:])))


def test_with_axioms_bridge(anvil: Anvil, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The genesis names the bridge, which is there, knows the vault, and takes the fees; once more changes nothing."""
    options = ["--axiom-fees", "0.001,0.005,0.006", "--axiom-fees-to", "fe" * 20]
    made = run(capsys, *deploy(anvil, "bridged", *options))
    config = load_rollup("bridged").genesis.config  # type: ignore[attr-defined]
    assert (made["vault"], made["bridge"]) == (f"0x{config.vault.hex()}", f"0x{config.bridge.hex()}")
    bridge = Contract(anvil, load_artifact("AxiomBridge", PACKAGE), made["bridge"])
    assert (made["vault"],) == bridge.call("vault")
    assert ("0x" + "fe" * 20,) == bridge.call("feeRecipient")
    assert [(10**15,), (5 * 10**15,), (6 * 10**15,)] == [bridge.call("l1InitiatedFee", kind) for kind in range(3)]
    assert (bytes(12) + bytes.fromhex(made["builder"][2:]),) == bridge.call("sequencerKeystoreAddress")
    assert made | {"gasUsed": 0} == run(capsys, *deploy(anvil, "bridged", *options))
    data = encode_initiate_l1_transaction(DEPOSIT, encode_deposit_data(7, b"\x0a" * 32))
    place = find_place(here / "node", None)
    assert isinstance(place, EthereumPlace)
    assert send_call(make_options(place), PAYER, config.bridge, data, 10**15 + 7).succeeded
    assert 7 == int(anvil.call("eth_getBalance", made["vault"], "latest"), 16)


def test_what_is_wrong_with_the_command(anvil: Anvil, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, exit code 2, and nothing is sent: a name, a cap, a file that is there, an inbox that exists."""
    (here / "taken.py").write_text("app = None\n")
    before = anvil.get_head()
    for arguments, words in (
        (deploy(anvil, "Not-A-Module"), "is not a module"),
        (deploy(anvil, "taken"), "holds something else"),
        (deploy(anvil, "bank", "--price-cap", "much"), "is not AMOUNT or TOKEN=AMOUNT"),
        (deploy(anvil, "bank", "--inbox", "11" * 20), "this command makes one"),
        (deploy(anvil, "bank", "--axiom-fees", "1,2"), "is not DEPOSIT,WITHDRAW,UPDATE"),
        (deploy(anvil, "bank", "--axiom-fees", "1,2,3", "--bridge", "11" * 20), "--axiom-fees makes one"),
        (deploy(anvil, "bank", "--op-stack", "11" * 20), "is not CHAIN=ADDRESS"),
        (deploy(anvil, "bank", "--arbitrum", "0=" + "11" * 20), "is not CHAIN=ADDRESS"),
        (deploy(anvil, "bank", *[f"--{kind}=10={'11' * 20}" for kind in ("op-stack", "arbitrum")]), "named twice"),
        (["vault", "apps.keystore.plus"], "give --data DIR"),
        (["vault", "apps.keystore.plus", "--data", "elsewhere"], "settles on no Ethereum"),
    ):
        assert words in run(capsys, *arguments, code=2).replace("\n", " ")
    assert before == anvil.get_head()


def test_a_cut_deployment_goes_on(anvil: Anvil, here: Path) -> None:
    """Where the inbox is there and the vault is not bound, a client is told so, and the next call binds it."""
    vault = plan_vault(here / "node", compute_address(PAYER))
    config, place = Config(vault), make_place(anvil)
    with pytest.raises(UsageError, match="names another vault"):
        deploy_plus(Config(b"\x01" * 20), here / "node", place, PAYER)
    app = make_app(config)
    deployed = deploy_rollup(app, here / "node", place, PAYER, owner=ZERO_ADDRESS)
    with pytest.raises(UsageError, match="there is no vault"):
        check_custody(app, deployed.place)
    options, builder = make_options(place), deployed.genesis.builder
    create_contract(options, PAYER, encode_escape_verifier_creation())
    creation_code = encode_vault_creation(compute_address(PAYER))
    assert vault == create_contract(options, PAYER, creation_code, compute_vault_salt(builder, bytes(32))).address
    with pytest.raises(UsageError, match="is not bound to the inbox"):
        check_custody(app, deployed.place)
    with pytest.raises(UsageError, match="give the same options as before"):
        deploy_plus(config, here / "node", place, PAYER, owner=b"\x01" * 20)
    made = deploy_plus(config, here / "node", place, PAYER)
    assert (vault, deployed.planned.inbox) == (made.custody.vault, made.custody.inbox)


def test_what_a_client_finds_out(anvil: Anvil, here: Path) -> None:
    """Another configuration, a vault that somebody put in its place, an owner: said before anything is paid in."""
    place, owner = make_place(anvil), b"\x0e" * 20
    config = Config(plan_vault(here / "one", compute_address(PAYER)))
    one = deploy_plus(config, here / "one", place, PAYER, owner=owner)
    assert (f"the inbox's owner 0x{owner.hex()}", "21,600 L1 blocks, 3 days") in one.custody.takers
    with pytest.raises(UsageError, match="its genesis differs in metadata_root"):
        check_custody(make_app(replace(config, collector=b"\x01" * 32)), one.place)
    with pytest.raises(UsageError, match="has no vault in its configuration"):
        check_custody(make_app(Config()), one.place)
    foreign = make_app(config)
    other = deploy_rollup(foreign, here / "two", place, PAYER, owner=ZERO_ADDRESS)
    with pytest.raises(UsageError, match="not the vault that this rollup's deployment makes"):
        check_custody(foreign, other.place)


def test_settlers_that_the_vault_believes(anvil: Anvil, here: Path) -> None:
    """Exactly the configuration's, each by a contract of ours; a vault that hears of none, or of another, shows."""
    place, maker, bridge = make_place(anvil), compute_address(PAYER), b"\x1b" * 20
    options = make_options(place)
    mine, other = OrderSettler(10, b"\x5e" * 20), OrderSettler(10, b"\x5f" * 20)
    far = OrderSettler(42_161, b"\x60" * 20)
    sources = []
    for kind, settler in (("OpStackOrigin", mine), ("ArbitrumExitOrigin", far)):
        created = create_contract(options, PAYER, encode_origin_creation(kind, bridge, settler.address))
        sources.append((settler.chain_id, created.address))
    verdicts = create_contract(options, PAYER, encode_verdicts_creation(sources)).address
    config = Config(plan_vault(here / "good", maker, verdicts=verdicts), settlers=(mine, far))
    made = deploy_plus(config, here / "good", place, PAYER, verdicts=verdicts)
    assert ((mine, far), verdicts) == (made.custody.settlers, made.custody.verdicts)
    assert ("the bridge of chain 10, what its open orders hold", "at once") in made.custody.takers
    for name, believed, settlers, reason in (
        ("none", ZERO_ADDRESS, (mine,), "hears of none"),
        ("other", verdicts, (other, far), "does not hear of the settler of chain 10"),
        ("fewer", verdicts, (mine,), "is not the contract of the configuration's settlers"),
    ):
        config = Config(plan_vault(here / name, maker, verdicts=believed), settlers=settlers)
        with pytest.raises(UsageError, match=reason):
            deploy_plus(config, here / name, place, PAYER, verdicts=believed)


def test_orders_by_the_commands(anvil: Anvil, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`settler` knows the kind of a chain and brings its settler once; `deploy` makes what L1 hears of it, whatever the
    order of its options, and the vault, the module and who could take the money name all of it.
    """
    settler = ["settler", "--chain", anvil.url, "--key", "payer.key"]
    assert "chain 31337 has neither OP-stack's messenger" in run(capsys, *settler, code=2).replace("\n", " ")
    anvil.call("anvil_setCode", "0x" + "64".zfill(40), "0xfe")
    (far,) = run(capsys, *settler)["chains"]
    install_exit(anvil)
    (near,) = run(capsys, *settler)["chains"]
    assert [(31_337, "Arbitrum"), (31_337, "OP-stack")] == [(each["chainId"], each["kind"]) for each in (far, near)]
    assert [near | {"gasUsed": 0}] == run(capsys, *settler)["chains"]
    assert "31337 is named twice" in run(capsys, *settler, "--chain", anvil.url, code=2).replace("\n", " ")
    assert {far["settler"], near["settler"]} == {
        f"0x{compute_deployed_address(encode_settler_creation(each)).hex()}" for each in (None, L2_MESSENGER)
    }

    messenger, bridge = b"\x1c" * 20, b"\x1d" * 20
    named = ["--op-stack", f"10=0x{messenger.hex()}", "--arbitrum", f"42161={bridge.hex()}"]
    said = run(capsys, *deploy(anvil, "market", *named), code=2).replace("\n", " ")
    assert "no contract at 0x1c1c1c" in said
    assert "take the L1CrossDomainMessenger of chain 10" in said
    assert not (here / "market.py").exists()
    for each in (messenger, bridge):
        install_l1_messenger(anvil, each)
    made = run(capsys, *deploy(anvil, "market", *named))
    assert [
        {"chainId": 10, "address": near["settler"]}, {"chainId": 42_161, "address": far["settler"]}
    ] == made["settlers"]  # fmt: skip
    assert [f"the bridge of chain {number}, what its open orders hold" for number in (10, 42_161)] == [
        each["who"] for each in made["takers"][1:3]
    ]
    vault = Contract(anvil, load_artifact("KeystoreVault", PACKAGE), made["vault"])
    assert (made["verdicts"],) == vault.call("verdicts")
    assert made | {"gasUsed": 0} == run(capsys, *deploy(anvil, "market", *named[2:], *named[:2]))
    shown = run(capsys, "vault", "market", "--data", "node")
    assert {name: made[name] for name in shown} == shown


def test_the_module_s_text() -> None:
    """It declares exactly the configuration, all of it, and nothing that was left at its default."""
    full = Config(
        b"\x01" * 20, b"\x02" * 20, parent_node=b"\x03" * 32, collector=b"\x04" * 32,
        settlers=(OrderSettler(10, b"\x06" * 20), OrderSettler(2**64 - 1, b"\x07" * 20)),
        price_caps=(PriceCap(ZERO_ADDRESS, 1), PriceCap(b"\x05" * 20, 2**256 - 1)),
    )  # fmt: skip
    for config in (full, Config(b"\x01" * 20), Config()):
        names: dict[str, Any] = {}
        exec(write_module_text(config), names)  # what a user's import does
        assert config == names["app"].genesis.config
    assert "bridge" not in write_module_text(Config(b"\x01" * 20))
