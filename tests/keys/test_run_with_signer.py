"""`run` with keys that a signer holds: blocks are sealed, attested and settled, and no key is in a file."""

from __future__ import annotations

from pathlib import Path

from command_line import LINES
from microrollup.crypto.ecdsa import compute_address, load_private_key
from process_fixtures import run_node
from signer_double import run_signer
from waiting import wait_for

BUILDER, VERIFIER = load_private_key(b"\x07" * 32), load_private_key(b"\x08" * 32)


def test_a_rollup_whose_keys_are_elsewhere(tmp_path: Path) -> None:
    """Ten actions take ten acknowledgements, and each block a seal and an attestation at most."""
    with run_signer(BUILDER, VERIFIER) as signer:
        builder, verifier = (f"{signer.url}#0x{compute_address(key).hex()}" for key in (BUILDER, VERIFIER))
        with run_node(tmp_path / "data", "--builder-key", builder, "--verifier-key", verifier) as node:
            assert f"0x{compute_address(BUILDER).hex()}" == node.process.info["builder"]
            answers = node.submit(*LINES[:10])
            assert 10 == len([answer for answer in answers if "ack" in answer])
            wait_for(lambda: (height := node.call("status")["height"])["latest"] == height["settled"] > 0)
            blocks = node.call("status")["height"]["latest"]
        assert 10 + blocks <= len(set(signer.signed)) <= 10 + 2 * blocks  # a lost answer is asked for again
    keys = [path.name for path in (tmp_path / "data" / "keys").iterdir()]
    assert [f"{compute_address(VERIFIER).hex()}.signed"] == keys
