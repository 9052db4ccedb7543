"""How many processes check signatures."""

from __future__ import annotations

from pathlib import Path

from microrollup.deployment.workers import choose_workers


def test_choice(tmp_path: Path) -> None:
    """What is asked for; none for a small file; otherwise at least one."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x")
    large.write_bytes(bytes(1_000_001))
    assert 3 == choose_workers(3, small)
    assert 0 == choose_workers(None, small)
    assert 1 <= choose_workers(None, large)
    assert 1 <= choose_workers(None, None)
