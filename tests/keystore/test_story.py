"""`python -m apps.keystore.story`: one keystore, two L2s, an operator that disappears; all of it on real nodes."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from account_world import ENTRY_POINT_ARTIFACT
from apps.keystore.chains.plan import L1_BLOCK
from apps.keystore.smart_account import DEPLOYER, ENTRY_POINT, compute_create2_address
from apps.keystore.story.bundling import run_bundler
from apps.keystore.story.chain import Chain
from apps.keystore.story.command import main
from apps.keystore.story.costs import read_prices
from apps.keystore.story.entry_point import encode_entry_point_deployment, load_entry_point
from apps.keystore.story.operator import APP
from apps.keystore.story.stand_ins import (
    compute_alias,
    install_arbitrum_inbox,
    install_l1_block,
    read_ticket,
    set_l1_block,
)
from apps.keystore.story.telling import PHASES, Telling
from bundlers import BUNDLER
from l1_fixtures import find_tool, install_foundry, run_anvil
from microrollup.cli.output import Output
from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.crypto.keccak import keccak256
from microrollup.deployment import verifying
from microrollup.deployment.verifying import make_request, verify_together
from microrollup.errors import DecodeError, MicrorollupError, UsageError
from microrollup.testing.anvil import DEV_KEYS
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Report
from npm import install_npm

SIGNATURE_ERROR: Final = "AA24 signature error"
OUTDATED: Final = "AA22 expired or not due"


def get_entry_point() -> Path:
    """The published artifact, as the lock file pins it."""
    return install_foundry() / "node_modules" / ENTRY_POINT_ARTIFACT


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """The exit code, standard output, and what was kept, of one run for programs."""
    kept = tmp_path_factory.mktemp("story") / "kept"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(find_tool("anvil")).parent), prepend=":")
        said = io.StringIO()
        patch.setattr("sys.stdout", said)
        prices = [
            f"--price={price}" for price in ("l1-gas=20", "blob-gas=1", "l2-gas=0.01", "l2-byte=0.16", "ether=3000")
        ]
        bundler = f"node {install_npm(BUNDLER) / 'run.mjs'}"
        options = ["--keep", str(kept), "--entry-point", str(get_entry_point()), "--bundler", bundler, *prices]
        code = main(["--json", *options])
    return code, said.getvalue(), kept


@pytest.fixture(scope="module")
def story(told: tuple[int, str, Path]) -> dict[str, Any]:
    """What programs are told."""
    document: dict[str, Any] = json.loads(told[1])
    return document


def get_found(story: dict[str, Any], chain: str) -> list[tuple[str, str]]:
    """What came out on a chain, in order."""
    return [(outcome["what"], outcome["found"]) for outcome in story["outcomes"] if outcome["chain"] == chain]


def test_one_json_object(told: tuple[int, str, Path]) -> None:
    """Standard output is one JSON object on one line, and the exit code says that all came out as it should."""
    code, said, _ = told
    assert (0, 1) == (code, said.count("\n"))
    assert {"ok", "outcomes", "steps", "phases", "figures", "costs", "roots", "seconds"} == set(json.loads(said))


def test_money(story: dict[str, Any]) -> None:
    """Each step with gas has its cost: gas and blobs on L1, gas and published bytes on L2s, at the given prices."""
    steps = {(step["step"], step["chain"]): step for step in story["steps"] if step["gas"] is not None}
    assert set(steps) == {(cost["step"], cost["chain"]) for cost in story["costs"]}
    for cost in story["costs"]:
        money = Decimal(cost["execution"] + cost["data"]) * 3_000 / 10**18
        assert abs(money - Decimal(cost["money"])) <= Decimal("0.0001")  # what is shown is rounded
    proof = next(step for step in story["steps"] if step["step"] == "Alice, phone 1: proof")
    cost = next(cost for cost in story["costs"] if cost["step"] == "Alice, phone 1: proof")
    assert (proof["gas"] * 10**7, proof["bytes"] * 16 * 10**7) == (cost["execution"], cost["data"])


def test_sponsored(story: dict[str, Any]) -> None:
    """Every operation on L2 A went through the bundler, and its account paid for the transfer alone."""
    spent = [
        outcome["found"] for outcome in story["outcomes"] if outcome["what"].endswith("wei that the account spent")
    ]
    assert ["1"] * 8 == spent


def test_prices_are_read() -> None:
    """Names that nobody knows, and what is no amount, are refused."""
    assert Decimal("0.5") == read_prices(["l2-gas=0.5"])["l2-gas"]
    for wrong in ("gas=1", "l2-gas", "l2-gas=", "l2-gas=-1", "l2-gas=NaN", "ether=inf"):
        with pytest.raises(UsageError, match="NAME=AMOUNT"):
            read_prices([wrong])


@pytest.mark.parametrize("command", ["/nowhere/bundler", "true"])
def test_a_bundler_that_does_not_start(tmp_path: Path, command: str) -> None:
    """It is said so, before anything is asked of it."""
    with (
        run_anvil() as anvil,
        pytest.raises(UsageError, match="bundler"),
        run_bundler([command], Chain("L2", anvil), tmp_path),
    ):
        pass


def test_every_outcome(story: dict[str, Any]) -> None:
    """Nothing came out otherwise than it should, and the verdict says so."""
    assert [] == [outcome for outcome in story["outcomes"] if not outcome["ok"]]
    assert [] == [outcome for outcome in story["outcomes"] if outcome["expected"] != outcome["found"]]
    assert story["ok"]


def test_one_root_everywhere(story: dict[str, Any]) -> None:
    """The inbox, the store of whoever operates last, and both L2s hold the same root; it moved with each change."""
    assert {"inbox on L1", "store of the successor", "L2 A", "L2 B"} == set(story["roots"])
    assert 1 == len(set(story["roots"].values()))
    settled = [found for what, found in get_found(story, "L1") if what == "settled"]
    assert 3 == len(set(settled))
    assert settled[-1] == story["roots"]["L2 B"]
    for chain in ("L2 A", "L2 B"):  # one of the mirrors shows again what L1 holds, when nobody operates
        mirrored = [found for what, found in get_found(story, chain) if what == "the root of L1"]
        assert [*settled[:2], settled[1], settled[2]] == mirrored
    assert [("rebuilt from L1", settled[1])] == [each for each in get_found(story, "") if each[0] == "rebuilt from L1"]


def test_accounts_act(story: dict[str, Any]) -> None:
    """Made by the first operation, with a proof, from memory, with a passkey, and never registered."""
    first, second = dict(get_found(story, "L2 A")), dict(get_found(story, "L2 B"))
    for how in ("deploy with a proof", "proof", "proof, remembered", "from memory"):
        assert "done" == first[f"Alice, phone 1: {how}"]
    for how in ("deploy with a proof", "proof"):
        assert "done" == first[f"Bob, passkey: {how}"]
    for how in ("deploy with an exclusion", "exclusion"):
        assert "done" == second[f"Carol, Carol's phone: {how}"]


def test_one_rotation_reaches_both_chains(story: dict[str, Any]) -> None:
    """Old key refused, with the reason, new key works: where the account was, and where it had never been."""
    first, second = dict(get_found(story, "L2 A")), dict(get_found(story, "L2 B"))
    assert "no proof can be made" == dict(get_found(story, ""))["a new proof for phone 1"]
    for found in (first, second):
        assert SIGNATURE_ERROR == found["phone 1, under the configuration of phone 2"]
        assert "taken" == found["phone 1, old proof, at once"]
        assert OUTDATED == found["phone 1, old proof, after 15 minutes of grace"]
    assert "done" == first["Alice, phone 2: proof"]
    assert "done" == second["Alice, phone 2: deploy with a proof"]


def test_age_of_the_root(story: dict[str, Any]) -> None:
    """Each mirror tells how long ago L1 took its root; without an operator the age grows, though L1 is asked again."""
    for chain in ("L2 A", "L2 B"):
        ages = [int(found) for what, found in get_found(story, chain) if what == "seconds since L1 took it"]
        assert 4 == len(ages)
        assert ages[1] < ages[2]


def test_rotation_through_l1(story: dict[str, Any], told: tuple[int, str, Path]) -> None:
    """Without the operator: L1 takes the Update, a successor has to begin with it, and it reaches both chains.

    Alice settles it, who was refused twice while there was a builder.
    """
    on_l1 = get_found(story, "L1")
    assert ["NotBuilder"] * 2 == [found for what, found in on_l1 if what == "Alice settles in the builder's place"]
    wallet = compute_address(load_private_key(bytes.fromhex(DEV_KEYS[2])))
    assert hex0x(wallet) == dict(on_l1)["settled by Alice"]
    assert not (told[2] / "operator").exists()
    assert "1" == dict(get_found(story, ""))["forced actions taken"]
    for chain in ("L2 A", "L2 B"):
        found = dict(get_found(story, chain))
        assert SIGNATURE_ERROR == found["phone 2, under the configuration of phone 3"]
        assert OUTDATED == found["phone 2, old proof, after 15 minutes of grace"]
        assert "done" == found["Alice, phone 3: proof"]


def test_replay_on_the_other_chain(story: dict[str, Any]) -> None:
    """One account, one nonce: what was signed for one L2 is refused on the other, what was signed for it is taken."""
    found = dict(get_found(story, "L2 B"))
    assert ("taken", SIGNATURE_ERROR) == (found["phone 3, signed for L2 B"], found["phone 3, signed for L2 A"])


def test_phases(story: dict[str, Any]) -> None:
    """Each change has its latency, and the gas and bytes of settlement and ingestion."""
    phases = {(entry["change"], entry["phase"]): entry for entry in story["phases"]}
    changes = ("registration", "rotation", "forced rotation")
    assert {(change, phase) for change in changes for phase in PHASES} == set(phases)
    for (change, phase), entry in phases.items():
        assert entry["seconds"] > 0 or phase != "settlement"
        assert 0 < entry["bytes"] < 10_000
        assert (entry["gas"] > 0) == (phase != "authentication" or change == "forced rotation")
        assert (entry["blobGas"] == 131_072) == (phase == "settlement")
        waits = {"settlement": 12, "L2 ingestion": 12, "authentication": 0}[phase]  # L1 blocks of 12 seconds
        assert change == "forced rotation" or waits == entry["l1Seconds"]
    assert 21_600 * 12 < phases["forced rotation", "settlement"]["l1Seconds"] < 21_700 * 12


def test_figures(story: dict[str, Any]) -> None:
    """Proofs at depth 30 are below what was measured of others, operations below 1,200 bytes; each says its origin."""
    figures = {figure["what"]: figure for figure in story["figures"]}
    for name, gas, size in (("inclusion", 7_422, 1_632), ("exclusion", 7_866, 1_760)):
        figure = figures[f"{name} proof at depth 30, call of KeystoreVerifier"]
        assert 3_000 < figure["gas"] < min(gas, 5_000)
        assert 1_000 < figure["bytes"] < size
        assert 1_000 < figures[f"operation's overhead at depth 30, {name}"]["bytes"] < 1_200
    bars = {"inclusion": 12_338, "exclusion": 12_338, "cached": 5_215}
    for name, gas in bars.items():
        assert figures[f"validateUserOp at depth 30, {name}, without the validator, storage cold"]["gas"] < gas
    kept = [what for what, figure in figures.items() if figure["origin"] == "gas snapshot"]
    assert 2 + 2 * len(bars) == len(kept)
    assert all("library" in what or "storage cold" in what for what in kept)


def test_what_is_kept_is_not_overwritten(told: tuple[int, str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A second story in the same directory is refused before any chain starts."""
    assert 2 == main(["--keep", str(told[2]), "--entry-point", str(get_entry_point())])
    assert "is not empty" in capsys.readouterr().err


# --- its parts -------------------------------------------------------------------------------------------------------


def test_a_wrong_outcome_is_told() -> None:
    """One thing that comes out otherwise makes the whole story not ok."""
    telling = Telling(Output(as_json=True, stdout=io.StringIO()), lambda: 0)
    telling.expect("right", "L1", "1", "1")
    assert telling.ok
    telling.expect("wrong", "L1", "1", "2")
    assert [True, False] == [outcome.ok for outcome in telling.outcomes]
    assert not telling.ok


def test_entry_point_is_the_published_one(tmp_path: Path) -> None:
    """The code that gives the canonical address is taken; one changed byte, or no artifact, is refused."""
    code = load_entry_point(get_entry_point())
    call = encode_entry_point_deployment(code)
    assert ENTRY_POINT == compute_create2_address(DEPLOYER, call[:32], keccak256(call[32:]))
    changed = tmp_path / "changed.json"
    for text in (json.dumps({"bytecode": "0x" + (code + b"\0").hex()}), json.dumps({"bytecode": "0x0"}), "{}", "["):
        changed.write_text(text)
        with pytest.raises(UsageError):
            load_entry_point(changed)


def test_stand_ins() -> None:
    """L1Block answers what was written there; a ticket carries what was sent and by whom; failures have a name."""
    with run_anvil() as anvil:
        chain = Chain("L1", anvil)
        install_l1_block(anvil)
        block = anvil.call("eth_getBlockByNumber", "latest", False) | {"number": "0x5", "timestamp": "0x1122334455"}
        set_l1_block(anvil, block)
        answers = [chain.ask(L1_BLOCK, keccak256(name)[:4]) for name in (b"number()", b"timestamp()", b"hash()")]
        assert [(5).to_bytes(32, "big"), (0x1122334455).to_bytes(32, "big")] == answers[:2]
        assert block["hash"] == hex0x(answers[2])
        install_arbitrum_inbox(anvil)
        plain = chain.send(chain.bundler, b"", value=1)
        with pytest.raises(DecodeError):
            read_ticket(plain.receipt)
        with pytest.raises(MicrorollupError, match="reverted"):
            chain.send(DEPLOYER, bytes(32) + b"\xfe")
    offset = int("1111" + "0" * 32 + "1111", 16)
    assert (offset + 1) % 2**160 == int.from_bytes(compute_alias(bytes(19) + b"\1"), "big")
    assert offset - 1 == int.from_bytes(compute_alias(b"\xff" * 20), "big")


def test_what_any_verifier_says_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Verifiers that run at once are all listened to: a divergence of the second is given, an error of it raised."""
    divergence = DivergenceEvent(1, None, "stateRoot", "0x00", "0x01")
    report = Report(1, 1, 0, "0x", "0x", "0x", "0x", [], [])
    failure = ErrorEvent("Some", "it failed")
    outcomes: dict[str | None, Any] = {"/fine": report, "/diverges": divergence, "/fails": failure}
    monkeypatch.setattr(verifying, "run_verifier", lambda request, _=None: outcomes[request.source])
    fine, diverges, fails = [make_request(APP, Path(path), tmp_path) for path in outcomes if path]
    assert [report, divergence] == verify_together([fine, diverges])
    with pytest.raises(MicrorollupError, match="it failed"):
        verify_together([fine, fails])
