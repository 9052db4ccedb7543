"""Blocks that a verifier attests settle once, in order; without attestations nothing settles."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from deployment_fixtures import APP, LINES, ROLLUP, fill_directory
from microrollup.deployment.directory import open_rollup, require_settled
from microrollup.deployment.exporting import export_blocks
from microrollup.deployment.importing import import_actions
from microrollup.deployment.place_file import find_place
from microrollup.deployment.settling import parse_attestations, settle_batches
from microrollup.deployment.status import read_directory_status, read_l1_status
from microrollup.deployment.verifying import make_request, verify_blocks, verify_together
from microrollup.errors import UsageError
from microrollup.keys.files import verifier_key_path
from microrollup.settlement.attestation import SignedAttestation
from microrollup.verifier.events import DivergenceEvent, Report, VerifierProgress


def attest(data: Path, blocks: Path) -> tuple[Report, list[VerifierProgress]]:
    """What the development verifier says of exported blocks, and how it said how far it was."""
    progress: list[VerifierProgress] = []
    request = make_request(
        APP, blocks, data.parent / "verifier", l1=find_place(data, None), key=verifier_key_path(data), workers=0
    )
    report = verify_blocks(request, progress.append)
    assert isinstance(report, Report)
    return report, progress


def get_attestations(report: Report) -> list[SignedAttestation]:
    """As `settle` gets them."""
    return parse_attestations(msgspec.json.encode(report.attestations))


def test_export_verify_settle(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What was attested settles, once; the status of directory and L1 says so; nothing is printed."""
    data = tmp_path / "data"
    imported = fill_directory(data)
    export_blocks(data, ROLLUP, tmp_path / "blocks")
    report, progress = attest(data, tmp_path / "blocks")
    assert (3, 30, f"0x{imported.state_root.hex()}") == (report.verified, report.actions, report.state_root)
    assert progress[-1].height == progress[-1].tip > 0
    with open_rollup(data, ROLLUP) as opened:
        ranges = settle_batches(opened, get_attestations(report))
        assert (1, 3) == (ranges[0].first_height, ranges[-1].last_height)
        assert [] == settle_batches(opened, get_attestations(report))
        require_settled(opened)
    status = read_directory_status(data)
    assert (30, 3, 3) == (status["acknowledged"], status["height"]["latest"], status["height"]["available"])
    alone = read_l1_status(find_place(data, None))
    assert (None, status["height"]["available"]) == (alone["acknowledged"], alone["height"]["available"])
    assert ("", "") == capfd.readouterr()


def test_verify_together(tmp_path: Path) -> None:
    """Several verifiers, each in a process of its own, come to one root."""
    fill_directory(tmp_path / "data", LINES[:5])
    export_blocks(tmp_path / "data", ROLLUP, tmp_path / "blocks")
    requests = [make_request(APP, tmp_path / "blocks", tmp_path / name, workers=0) for name in ("one", "other")]
    one, other = verify_together(requests)
    assert isinstance(one, Report)
    assert one == other


def test_a_changed_block_diverges(tmp_path: Path) -> None:
    """A flipped bit in the file of blocks is a divergence, not a report."""
    fill_directory(tmp_path / "data", LINES[:5])
    export_blocks(tmp_path / "data", ROLLUP, tmp_path / "blocks")
    raw = bytearray((tmp_path / "blocks").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "blocks").write_bytes(raw)
    outcome = verify_blocks(make_request(APP, tmp_path / "blocks", tmp_path / "verifier", workers=0))
    assert isinstance(outcome, DivergenceEvent)


def test_attestations_for_blocks_that_are_not_here(tmp_path: Path) -> None:
    """Attestations of a longer history are refused by the heights that are missing, and nothing settles."""
    data = tmp_path / "data"
    fill_directory(data, LINES[:10])
    shutil.copytree(data, tmp_path / "old" / "data")
    import_actions(APP, data, LINES[10:20])
    export_blocks(data, ROLLUP, tmp_path / "blocks")
    report, _ = attest(data, tmp_path / "blocks")
    with open_rollup(tmp_path / "old" / "data", ROLLUP) as opened:
        with pytest.raises(UsageError, match="newest block is 1"):
            settle_batches(opened, get_attestations(report))
        assert 0 == opened.l1.get_settled().height


@pytest.mark.parametrize("raw", [b"", b"{}", b"7", b'[{"a":1}]', b'{"attestations":[1]}'])
def test_what_is_not_a_list_of_attestations(raw: bytes) -> None:
    """Any other document is refused in one sentence."""
    with pytest.raises(UsageError):
        parse_attestations(raw)
