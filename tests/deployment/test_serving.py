"""A node is served from its data directory in this process, and goes on from there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deployment_fixtures import APP, LINES, ROLLUP, fill_directory
from microrollup.deployment.directory import VerifierChoice
from microrollup.deployment.serving import open_served, serve_node
from microrollup.deployment.status import read_node_status
from microrollup.errors import UsageError
from microrollup.keys.files import make_key, verifier_key_path
from microrollup.keys.reference import open_key
from microrollup.node.options import NodeOptions
from microrollup.node.runtime import Node
from waiting import SECONDS


def test_serve(tmp_path: Path) -> None:
    """The node answers at the URL that it names, and holds what the directory holds."""
    fill_directory(tmp_path, LINES[:10])
    ready = threading.Event()
    told: list[tuple[str, Callable[[], None]]] = []

    def note(url: str, stop: Callable[[], None]) -> None:
        told.append((url, stop))
        ready.set()

    with open_served(APP, tmp_path, ROLLUP, VerifierChoice(), [], None, NodeOptions()) as node:
        server = threading.Thread(target=serve_node, args=(node, "127.0.0.1", 0), kwargs={"on_ready": note})
        server.start()
        try:
            assert ready.wait(SECONDS)
            url, stop = told[0]
            status = read_node_status(url)
            stop()
            server.join(SECONDS)
            assert not server.is_alive()
        finally:
            node.stop()
    assert (10, 1) == (status["acknowledged"], status["height"]["latest"])


def test_a_stranger_s_key(tmp_path: Path) -> None:
    """A key that is not among the rollup's verifiers attests nothing."""
    fill_directory(tmp_path / "data", LINES[:10])
    make_key(tmp_path / "stranger.key")
    with (
        pytest.raises(UsageError, match="not among the rollup's verifiers"),
        open_served(
            APP, tmp_path / "data", ROLLUP, VerifierChoice(), [open_key(tmp_path / "stranger.key")], None, NodeOptions()
        ),
    ):
        pass


def test_a_development_key_of_a_former_set(tmp_path: Path) -> None:
    """Once other verifiers are in force, the directory's own key runs none, and the node starts as before: the command
    names that key to each node.
    """
    fill_directory(tmp_path, LINES[:10])
    own = verifier_key_path(tmp_path)
    for is_member in (True, False):
        with open_served(APP, tmp_path, ROLLUP, VerifierChoice(), [open_key(own)], None, NodeOptions()) as node:
            assert isinstance(node, Node)
            assert [f"0x{open_key(own).address.hex()}"] * is_member == [link.name for link in node.links]
        own.unlink()
        make_key(own)
