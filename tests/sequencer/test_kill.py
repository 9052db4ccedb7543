"""kill -9 of the importing process at a hundred random moments."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from apps.keystore import app
from microrollup.errors import StoreMissing
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.ledger.ledger import Ledger
from microrollup.sequencer.sequencer import Sequencer
from microrollup.settlement.local import LocalSettlement
from paths import KEYSTORE_DATA, ROOT, SUPPORT

DATA = KEYSTORE_DATA
LINES = DATA / "wallet-actions.jsonl"
STATE_ROOT = json.loads((DATA / "wallet-actions.expected.json").read_bytes())["stateRoot"]
KILLS = 100
ROUNDS = 2
GROUP_SIZE = 10


class Zygote:
    """The process that forks importers."""

    def __init__(self) -> None:
        script = SUPPORT / "import_zygote.py"
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(GROUP_SIZE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def run(self, data: Path, block_size: int, seconds: float | None) -> int:
        """Import the wallet's lines into `data` for so many seconds, then kill; None: to the end."""
        arguments = ["import", "apps.keystore", str(LINES), "--data", str(data), "--block-size", str(block_size)]
        arguments += ["--workers", "0", "--acks", str(data.with_suffix(".acks")), "--json"]
        request = {"arguments": arguments, "seconds": seconds, "output": str(data.with_suffix(".json"))}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


def read_acknowledged(data: Path) -> dict[int, int]:
    """Line -> seq of all that was acknowledged; a last line that was cut off does not count."""
    acks = data.with_suffix(".acks")
    text = acks.read_text() if acks.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        acks.write_text(whole)
    pairs = [tuple(map(int, line.split())) for line in whole.splitlines()]
    assert len(pairs) == len({line for line, _ in pairs}), "a line was acknowledged twice"
    return dict(pairs)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def actions() -> list[Authenticated]:
    authenticator = Authenticator(app.action_types, app.make_domain())
    return [authenticator.authenticate_line(line) for line in LINES.read_bytes().splitlines()]


def check(data: Path, actions: list[Authenticated]) -> int:
    """The store opens and has every acknowledged action at its seq; how many entries it has."""
    acknowledged = read_acknowledged(data)
    try:
        ledger = Ledger.open(data, app)
    except StoreMissing:
        assert {} == acknowledged
        return 0
    with ledger:
        l1 = LocalSettlement.open(data / "l1")
        sequencer: Sequencer[int] = Sequencer(ledger, app_key(data), l1)
        for line, seq in acknowledged.items():
            assert seq == sequencer.known.find(actions[line].action_hash), line
        sequencer.close()
        l1.close()
        assert ledger.tree.root() == ledger.header.state_root
        return ledger.next_seq


def app_key(data: Path):
    from microrollup.keys.files import builder_key_path, read_key

    return read_key(builder_key_path(data))


def test_killed_importing(zygote: Zygote, actions: list[Authenticated], tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, the store opens, going on ends with the same root; whatever the moment."""
    rng = Random(1_000_003)
    kills = rounds = 0
    while kills < KILLS or rounds < ROUNDS:
        data = tmp_path / f"store {rounds}"
        count = finished = 0
        while not finished:
            # Early kills hit the making of the store; later ones have to get beyond what is imported already.
            seconds = (
                None if kills >= KILLS else rng.choice((0.02, 0.1, 0.5)) * rng.random() + 0.0001 * count * rng.random()
            )
            code = zygote.run(data, rng.choice((7, 100, 1_000)), seconds)
            assert code in (0, -signal.SIGKILL)
            finished = code == 0
            kills += code != 0
            before, count = count, check(data, actions)
            assert count >= before
        report = json.loads(data.with_suffix(".json").read_bytes())
        assert (2000, STATE_ROOT) == (count, report["stateRoot"])
        assert {"duplicate"} >= {refusal["error"] for refusal in report["refusals"]}
        rounds += 1
