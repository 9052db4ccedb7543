"""Axiom's SDK as npm has it, unmodified, against `microrollup run apps.keystore.plus --methods axiom`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from apps.keystore.axiom.rpc.prover import OPEN_SPONSOR
from apps.keystore.plus.command import main
from apps.keystore.plus.deploying import plan_vault
from axiom_world import make_wallet, wrap_key_data
from command_line import ROOT
from contract_calls import Contract
from l1_fixtures import run_anvil
from l1_node_fixtures import Miner
from microrollup.contracts import load_artifact
from microrollup.crypto.ecdsa import compute_address
from microrollup.keys.files import builder_key_path, make_key
from microrollup.testing.anvil import DEV_KEYS
from node_fixtures import Caller
from npm import install_npm
from paths import TESTS
from plus_site import BRIDGE_FEES, MAKER, PAYER
from process_fixtures import run_node
from waiting import SECONDS

pytestmark = pytest.mark.slow

APP = "apps.keystore.plus"
AMOUNT = 10**18
FUNDED = {
    "ann": make_wallet(1, 2, 3), "bob": make_wallet(11, 1, 1), "carol": make_wallet(21, 1, 2),
    "payer": make_wallet(51, 1, 1), "open": wrap_key_data(OPEN_SPONSOR, ()),
}  # fmt: skip


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The folder where the SDK is installed."""
    return install_npm(TESTS / "wallets")


@pytest.fixture(scope="module")
def node(sdk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """Keystore+ with Axiom's methods, served by the command line."""
    directory = tmp_path_factory.mktemp("axiom") / "data"
    with run_node(directory, "--methods", "axiom", app=APP) as caller:
        caller.directory = directory  # type: ignore[attr-defined]
        yield caller
        assert (0, "") == caller.process.stop()  # type: ignore[attr-defined]


def run_script(folder: Path, script: str, given: dict[str, Any]) -> Any:
    """What a script that drives the SDK found out."""
    completed = subprocess.run(
        ["node", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert 0 == completed.returncode, completed.stderr
    return json.loads(completed.stdout)


def fund(directory: Path, capsys: pytest.CaptureFixture[str], key: bytes) -> str:
    """`python -m apps.keystore.plus fund`: the hash by which the deposit is found."""
    assert 0 == main(["fund", f"0x{key.hex()}", str(AMOUNT), "--data", str(directory), "--json"])
    found: str = json.loads(capsys.readouterr().out)["transactionHash"]
    return found


def test_everything_that_a_user_does(sdk: Path, node: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """Create, fund, update, sponsor in three ways, withdraw twice, every read and every wait."""
    directory: Path = node.directory  # type: ignore[attr-defined]
    deposits = {name: fund(directory, capsys, wallet.address) for name, wallet in FUNDED.items()}
    prove = [sys.executable, "-m", "apps.keystore.axiom", "prove"]
    found = run_script(
        sdk, "axiom_sdk.mjs", {"url": node.url, "prove": prove, "deposits": deposits, "amount": str(AMOUNT)}
    )
    assert 23 == len(found["methods"])
    assert all(name.startswith("keystore_") for name in found["methods"])


@contextmanager
def record(directory: Path, bridge: str) -> Iterator[None]:
    """`python -m apps.keystore.axiom record`, which a signal ends."""
    (directory / "recorder.key").write_text(DEV_KEYS[2])
    arguments = ["--bridge", bridge, "--data", "node", "--key", "recorder.key", "--every", "0.1", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "apps.keystore.axiom", "record", *arguments],
        cwd=directory, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield
            process.terminate()
            said, err = process.communicate(timeout=SECONDS)
            assert 0 == process.returncode, err
            assert any(json.loads(line)["recorded"] for line in said.splitlines())
        finally:
            process.kill()


@pytest.fixture
def miner() -> Iterator[Miner]:
    """An L1 whose blocks come with each transaction, and by themselves."""
    with run_anvil() as anvil:
        anvil.mine(3)
        miner = Miner(anvil)
        miner.start()
        try:
            yield miner
        finally:
            miner.stop()


def test_through_l1_and_back(
    sdk: Path, miner: Miner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deployed with a bridge: a deposit, an update and a withdrawal from L1, and withdrawals finalized there, once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "payer.key").write_text(DEV_KEYS[0])
    vault = plan_vault(tmp_path / "node", compute_address(PAYER))
    sequencer = bytes(12) + compute_address(make_key(builder_key_path(tmp_path / "node")))
    arguments = [f"0x{vault.hex()}", sequencer, MAKER, *BRIDGE_FEES]
    bridge = Contract.deploy(miner.anvil, load_artifact("AxiomBridge", "apps.keystore.contracts"), arguments, MAKER)
    options = ["--l1-url", miner.anvil.url, "--l1-depth", "1", "--key", "payer.key", "--fund", "1"]
    assert 0 == main(["deploy", "axiom_bank", "--data", "node", *options, "--bridge", bridge.address])
    capsys.readouterr()
    given = {
        "l1Url": miner.anvil.url, "bridge": bridge.address, "secret": f"0x{DEV_KEYS[1]}",
        "prove": [sys.executable, "-m", "apps.keystore.axiom", "prove"],
    }  # fmt: skip
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    arguments = ["--methods", "axiom", "--clock", "l1"]
    with (
        run_node(tmp_path / "node", *arguments, app="axiom_bank", cwd=tmp_path, path=path) as caller,
        record(tmp_path, bridge.address),
    ):
        found = run_script(sdk, "axiom_bridge.mjs", {"url": caller.url, **given})
        assert "42" == found["paid"]
        assert (0, "") == caller.process.stop()  # type: ignore[attr-defined]
