"""The verifier in a process of its own: what it reports, what it refuses, and that it runs in another world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernel_fixtures import BUILDER, VERIFIER_KEY, Chain, make_steps
from microrollup.chain.block import compute_block_hash
from microrollup.chain.export import write_blocks
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import LimitExceeded
from microrollup.settlement.attestation import attestation_from_json
from microrollup.settlement.batch import encode_batch
from microrollup.settlement.local import LocalSettlement
from microrollup.settlement.place import LocalPlace
from microrollup.verifier.events import DivergenceEvent, ErrorEvent, Report, VerifierProgress, VerifierRequest
from microrollup.verifier.launch import run_verifier
from microrollup.verifier.verify import UNCHECKED_WITHOUT_L1
from paths import SUPPORT
from zoo import buggy_zoo, zoo

HERE = str(SUPPORT)
SECRET = VERIFIER_KEY.secret.hex()


class Built:
    """A closed chain of three blocks with forced actions, and its block file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.chain = chain = Chain(root, block_size=4)
        chain.force(make_steps(("set_ticket", 70, 7)), "carol")
        for value in range(9):
            chain.edit(("set_ticket", value, value), ("set_note", value, value), ("set_animal", value, 1))
        chain.close_block()
        self.blocks = chain.get_blocks()
        self.file = root / "blocks"
        write_blocks(self.file, chain.genesis, self.blocks)
        self.l1_seconds = chain.seconds
        chain.close()

    def request(self, directory: Path, **changes: Any) -> VerifierRequest:
        """What to ask for, from the file and without L1 unless told otherwise."""
        base = VerifierRequest(
            app="zoo:zoo",
            source=str(self.file),
            directory=str(directory),
            python_path=[HERE],
            workers=0,
        )
        return msgspec.structs.replace(base, **changes)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    return Built(tmp_path_factory.mktemp("built"))


def expect_report(outcome: object) -> Report:
    assert isinstance(outcome, Report), outcome
    return outcome


def test_from_a_file(built: Built, tmp_path: Path) -> None:
    """Blocks of a file are verified and told one by one; without L1 some rules are listed as unchecked, none signed."""
    told: list[VerifierProgress] = []
    report = expect_report(run_verifier(built.request(tmp_path, secret=SECRET), told.append))
    header = built.blocks[-1].header
    assert (3, 1, 10) == (report.verified, report.first, report.actions)
    assert f"0x{compute_block_hash(header).hex()}" == report.block_hash
    assert (f"0x{header.state_root.hex()}", f"0x{header.metadata_root.hex()}") == (
        report.state_root,
        report.metadata_root,
    )
    assert [(1, 3), (2, 3), (3, 3)] == [(progress.height, progress.tip) for progress in told]
    assert ([], list(UNCHECKED_WITHOUT_L1)) == (report.attestations, report.unchecked)
    again = expect_report(run_verifier(built.request(tmp_path)))
    assert (3, 4, report.state_root) == (again.verified, again.first, again.state_root)


def test_from_a_store_with_l1(built: Built, tmp_path: Path) -> None:
    """Blocks of a store, checked against L1, are attested; L1 takes the attestation."""
    request = built.request(
        tmp_path, source=str(built.root / "builder"), l1=LocalPlace(str(built.root / "l1")), secret=SECRET, workers=1
    )
    report = expect_report(run_verifier(request))
    assert ([], 1) == (report.unchecked, len(report.attestations))
    signed = attestation_from_json(bytes(report.attestations[0]))
    l1 = LocalSettlement.open(built.root / "l1", lambda: built.l1_seconds + 60)
    rollup_id = built.blocks[0].header.rollup_id
    head = l1.settle(encode_batch(rollup_id, built.blocks), built.blocks[-1].header, [signed], submitter=BUILDER)
    l1.close()
    assert 3 == head.height
    assert [] == expect_report(run_verifier(request)).attestations


def test_divergence(built: Built, tmp_path: Path) -> None:
    """Blocks of wrong code are told as a divergence, by height and field; what was right before is kept."""
    chain = Chain(tmp_path / "bad", buggy_zoo)
    chain.edit(("count", 0, 1))
    chain.close_block()
    chain.edit(("set_ticket", 1, 1))
    chain.close_block()
    chain.close()
    outcome = run_verifier(built.request(tmp_path / "v", source=str(tmp_path / "bad" / "builder")))
    assert isinstance(outcome, DivergenceEvent)
    assert (2, "stateRoot", None) == (outcome.height, outcome.field, outcome.seq)
    assert outcome.expected != outcome.found
    again = run_verifier(built.request(tmp_path / "v", source=str(tmp_path / "bad" / "builder")))
    assert outcome == again


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"rollup_id": "00" * 32}, "WrongRollup"),
        ({"app": "apps.keystore"}, "WrongRollup"),
        ({"app": "no_such_app_anywhere"}, "UsageError"),
        ({"app": "zoo:nothing"}, "UsageError"),
        ({"source": "/no/such/file"}, "UsageError"),
        ({"source": HERE}, "UsageError"),
        ({"source": __file__}, "DecodeError"),
        ({"l1": LocalPlace("/no/such/l1")}, "StoreMissing"),
        ({"secret": "01" * 32, "l1": "L1"}, "UsageError"),
    ],
    ids=str,
)
def test_errors(built: Built, tmp_path: Path, changes: dict[str, Any], kind: str) -> None:
    """What keeps the verifier from its work is told by kind and in words, and is no verdict."""
    if changes.get("l1") == "L1":
        changes = changes | {"l1": LocalPlace(str(built.root / "l1"))}
    outcome = run_verifier(built.request(tmp_path, **changes))
    assert isinstance(outcome, ErrorEvent), outcome
    assert kind == outcome.kind
    assert outcome.message


def test_pinned_rollup(built: Built, tmp_path: Path) -> None:
    """The right rollup id lets the right blocks pass."""
    rollup_id = built.blocks[0].header.rollup_id.hex()
    assert f"0x{rollup_id}" == expect_report(run_verifier(built.request(tmp_path, rollup_id=rollup_id))).rollup_id


def test_never_two_blocks_of_a_height(built: Built, tmp_path: Path) -> None:
    """After a rebuild a fresh store changes nothing: the table of signed heights refuses the other block."""
    chain = Chain(tmp_path / "chain", buggy_zoo)
    chain.edit(("set_ticket", 1, 1))
    chain.close_block()

    def run(name: str, app: str) -> object:
        return run_verifier(
            built.request(
                tmp_path / name,
                app=app,
                source=str(tmp_path / "chain" / "builder"),
                l1=LocalPlace(str(tmp_path / "chain" / "l1")),
                secret=SECRET,
                signed=str(tmp_path / "signed"),
            )
        )

    assert 1 == len(expect_report(run("one", "zoo:buggy_zoo")).attestations)
    chain.reopen(zoo)
    chain.sequencer.rebuild(1)
    outcome = run("two", "zoo:zoo")
    assert isinstance(outcome, ErrorEvent)
    assert "AttestationConflict" == outcome.kind
    chain.close()


# --- another world ---------------------------------------------------------------------------------------------------

APP = """
from __future__ import annotations
import locale, os, sys, time, zlib
from microrollup import Action, Context, MicroRollup, State, Uint64, replace

class Counter(State, frozen=True):
    value: Uint64 = 0

class Increment(Action, frozen=True):
    by: Uint64

def look() -> object:
    return {look}

def increment(state: Counter, action: Increment, ctx: Context) -> Counter:
    return replace(state, value=zlib.crc32(repr(look()).encode()) + action.by)

app = MicroRollup(name="counter", version="1", genesis=Counter(), stfs=[increment],
                  libraries=["locale", "os", "sys", "time", "zlib"], allow=["module", "name", "set"])
{more}
"""

WORLDS = {
    "hash seed": 'hash("x")',
    "order of a set": 'list({"a", "b", "c", "d", "e", "f", "g", "h"})[:4]',
    "time zone": "time.localtime(0).tm_hour, time.tzname",
    "working directory": "os.getcwd()",
    "environment": "sorted(os.environ)",
    "process": "os.getpid()",
    "nothing": "7",
}


def build_counter(root: Path, monkeypatch: pytest.MonkeyPatch, look: str, more: str = "") -> VerifierRequest:
    """A chain of one block by an app that looks around; the request that verifies it."""
    name = f"looking_{abs(hash((str(root), look))):x}"
    (root / f"{name}.py").write_text(APP.format(look=look, more=more))
    monkeypatch.syspath_prepend(root)
    rollup = load_rollup(name)
    chain = Chain(root / "chain", rollup)
    increment: Any = next(iter(rollup.stf_by_action))
    chain.submit(chain.signer.sign(increment(1)))
    chain.close_block()
    chain.close()
    return VerifierRequest(
        app=name,
        source=str(root / "chain" / "builder"),
        directory=str(root / "verifier"),
        python_path=[str(root)],
        workers=0,
    )


@pytest.mark.parametrize("world", WORLDS)
def test_perturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: str) -> None:
    """An STF that looks at what differs between machines diverges here, at home; one that does not passes."""
    outcome = run_verifier(build_counter(tmp_path, monkeypatch, WORLDS[world]))
    if world == "nothing":
        expect_report(outcome)
    else:
        assert isinstance(outcome, DivergenceEvent), outcome
        assert (1, "stateRoot") == (outcome.height, outcome.field)


def test_printing_apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """What an app prints is no event."""
    request = build_counter(tmp_path, monkeypatch, 'print("an STF speaks") or 7', "print('imported')")
    expect_report(run_verifier(request))
    assert "an STF speaks" in capfd.readouterr().err


def test_limits_are_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action that exhausts the verifier's memory makes an error of its own, not a divergence."""
    look = '7 if os.environ.get("TZ") != "VRF-11:37" else len(bytes(11 << 30))'
    outcome = run_verifier(build_counter(tmp_path, monkeypatch, look))
    assert isinstance(outcome, ErrorEvent), outcome
    assert "LimitExceeded" == outcome.kind
    assert "memory" in outcome.message


def test_a_process_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is gone without a report is an error, not a hang and not a verdict."""
    request = build_counter(tmp_path, monkeypatch, "7", 'if os.environ.get("TZ") == "VRF-11:37":\n    os._exit(77)')
    with pytest.raises(LimitExceeded, match="77"):
        run_verifier(request)
