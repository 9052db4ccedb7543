"""`python -m apps.keystore.plus.story`: a Keystore+ from its deployment to the escape of its money, on real nodes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import pytest

from account_world import ENTRY_POINT_ARTIFACT
from apps.keystore.plus.story.command import main
from apps.keystore.plus.story.money import DAILY_LIMIT, FIRST_TRANSFER, WITHDRAWN
from apps.keystore.plus.story.process import run_microrollup, wait_until
from l1_fixtures import find_tool, install_foundry
from microrollup.errors import MicrorollupError

pytestmark = pytest.mark.slow

SIGNATURE_ERROR: Final = "AA24 signature error"
DAY: Final = 86_400
LEFT: Final = 10**18 - FIRST_TRANSFER - WITHDRAWN - DAILY_LIMIT


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """The exit code, standard output, and what was kept, of one run for programs."""
    kept = tmp_path_factory.mktemp("story") / "kept"
    entry_point = install_foundry() / "node_modules" / ENTRY_POINT_ARTIFACT
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(find_tool("anvil")).parent), prepend=":")
        said = io.StringIO()
        patch.setattr("sys.stdout", said)
        code = main(["--json", "--keep", str(kept), "--entry-point", str(entry_point)])
    return code, said.getvalue(), kept


@pytest.fixture(scope="module")
def story(told: tuple[int, str, Path]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(told[1])
    return document


def get_found(story: dict[str, Any], chain: str) -> dict[str, str]:
    """What came out on a chain."""
    return {outcome["what"]: outcome["found"] for outcome in story["outcomes"] if outcome["chain"] == chain}


def test_one_json_object(told: tuple[int, str, Path], story: dict[str, Any]) -> None:
    """Standard output is one JSON object, nothing came out otherwise than it should, and the exit code says so."""
    code, said, _ = told
    assert {"ok", "outcomes", "steps", "root", "seconds"} == set(story)
    assert [] == [outcome for outcome in story["outcomes"] if outcome["expected"] != outcome["found"]]
    assert (0, 1, True) == (code, said.count("\n"), story["ok"])


def test_a_name_and_money_on_l1(story: dict[str, Any]) -> None:
    """The resolver on L1 proves the address of the account on the L2, and that nobody has the other name; the vault
    pays what was withdrawn.
    """
    found = get_found(story, "L1")
    assert 42 == len(found["alice.story.eth on the L2"])
    assert "0x" == found["nobody.story.eth on the L2"]
    assert WITHDRAWN == int(found["Alice has on L1"])


def test_who_pays(story: dict[str, Any]) -> None:
    """A sponsor pays for Alice; who has nothing is refused before anything is executed."""
    found = get_found(story, "")
    assert "not_admitted: balance too low" == found["Erin has nothing to pay with"]
    assert found["who paid the fee"].endswith(": 1000000000000")
    assert "1" == found["Alice has paid"]


def test_the_l2_without_a_key(story: dict[str, Any]) -> None:
    """What Alice signed on the keystore happens, and nothing without it; a delegate acts until it is replaced."""
    found = get_found(story, "L2")
    assert SIGNATURE_ERROR == found["the operation without the intent"]
    assert "done" == found["a bundler brings it, without any key"]
    assert ["done"] * 2 == [found[f"helper {number} acts"] for number in (1, 2)]
    assert SIGNATURE_ERROR == found["helper 1, as helper 2"]


def test_orders_in_and_out(story: dict[str, Any]) -> None:
    """Who fills is paid where the money was locked: on the L2 by the proof of the fill, on L1 by the bridge's word."""
    here, there, on_l1 = [get_found(story, chain) for chain in ("", "L2", "L1")]
    assert 19 * 10**15 == int(here["Erin has got"]) == int(there["who was to be paid has on the L2"])
    assert 2 * 10**16 == int(there["Bob has on the L2"]) == int(on_l1["the filler has on L1"])
    steps = {step["step"]: step for step in story["steps"]}
    assert 7 * DAY < steps["the bridge's seven days, and its message"]["l1Seconds"] < 8 * DAY


def test_the_theft(story: dict[str, Any]) -> None:
    """The rule lets a day's limit go, a lock stops the thief here and the delegate there, the new key has the rest."""
    here, there = get_found(story, ""), get_found(story, "L2")
    assert "rejected: more than the spending rule allows" == here["the thief takes more"]
    assert "executed" == here["Ann supports them by a mail"]
    assert "not_admitted: account is locked" == here["the thief, on the keystore"]
    assert SIGNATURE_ERROR == there["helper 2 on the L2, while it is locked"]
    assert "done" == there["Alice's new phone acts on the L2"]
    assert LEFT - 1 == int(here["her money is as the thief had to leave it"])


def test_without_the_operator(story: dict[str, Any], told: tuple[int, str, Path]) -> None:
    """L1's calldata gives the root that the inbox holds; Alice's money leaves, and the stuck deposit comes back."""
    assert not (told[2] / "node").exists()
    assert story["root"] == get_found(story, "")["the root that the inbox holds"]
    on_l1 = get_found(story, "L1")
    assert on_l1["the vault is frozen at the last root"] == story["root"]
    assert LEFT - 3 == int(on_l1["Alice's money on L1"])
    with pytest.raises(MicrorollupError, match="microrollup status ended with 2"):
        run_microrollup(told[2], "status", "--data", "node")


def test_steps(story: dict[str, Any]) -> None:
    """Each step has its bytes or gas, and its latency; L1's clock went on by weeks, in seconds."""
    steps = {step["step"]: step for step in story["steps"]}
    assert all(step["gas"] or step["bytes"] or step["seconds"] for step in steps.values())
    assert all(step["blobGas"] is None for step in steps.values())
    settled = [step for name, step in steps.items() if name.startswith("settle ")]
    batches = [step for step in settled if step["bytes"]]  # a step's batch may have been counted by the one before
    assert len(batches) > len(settled) // 2
    assert [] == [step for step in batches if not (step["bytes"] > 500 and 40 < step["gas"] / step["bytes"] < 100)]
    assert 12 * DAY < steps["somebody deposits, and nobody takes it"]["l1Seconds"]
    assert story["seconds"] < 600


def test_what_does_not_come() -> None:
    """Waiting ends, and says for what."""
    with pytest.raises(MicrorollupError, match="the moon: not within 0 s"):
        wait_until("the moon", lambda: False, 0)
