"""Chains that a node tells of: what the operator's file may be, and what many readers at once get."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from apps.keystore.chains import surveys
from apps.keystore.chains.survey import UNREAD, Survey
from apps.keystore.chains.watched import read_watched
from microrollup.declaration.context import Revert
from microrollup.errors import DecodeError, MicrorollupError, UsageError

CHAIN = {"name": "A chain", "url": "http://127.0.0.1:1"}


def write(directory: Path, **members: Any) -> Path:
    """A data directory with this file."""
    (directory / "chains.json").write_text(json.dumps({"book": "deployments", "chains": [CHAIN], **members}))
    return directory


def test_the_file(tmp_path: Path) -> None:
    """Names and URLs; the book is relative to the directory."""
    assert () == read_watched(tmp_path)
    (chain,) = read_watched(write(tmp_path))
    assert ("A chain", "http://127.0.0.1:1", tmp_path / "deployments") == (chain.name, chain.options.url, chain.book)
    (chain,) = read_watched(write(tmp_path, book="/srv/deployments", chains=[{**CHAIN, "headers": ["X-Key: 1"]}]))
    assert (("X-Key: 1",), Path("/srv/deployments")) == (chain.options.headers, chain.book)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"more": 1}, DecodeError),
        ({"book": None}, DecodeError),
        ({"chains": [{"name": "A chain"}]}, DecodeError),
        ({"chains": [CHAIN, CHAIN]}, DecodeError),
        ({"chains": [{**CHAIN, "name": str(number)} for number in range(9)]}, DecodeError),
        ({"chains": [{**CHAIN, "name": ""}]}, DecodeError),
        ({"chains": [{**CHAIN, "name": "\N{RIGHT-TO-LEFT OVERRIDE}elpmaxe"}]}, DecodeError),
        ({"chains": [{**CHAIN, "name": "x" * 41}]}, DecodeError),
        ({"chains": [{**CHAIN, "url": "file:///etc/passwd"}]}, UsageError),
        ({"chains": [{**CHAIN, "headers": ["no colon"]}]}, MicrorollupError),
    ],
)
def test_what_the_file_may_not_be(tmp_path: Path, members: dict[str, Any], error: type[Exception]) -> None:
    """Said in words, and no chain is asked."""
    with pytest.raises(error):
        read_watched(write(tmp_path, **members))


def test_no_file(tmp_path: Path) -> None:
    """A node that serves the methods and knows of no chains says so; it finds the file once it is there."""
    with pytest.raises(Revert, match="names no chains"):
        surveys.ask_chains(tmp_path, [bytes(32)])
    with pytest.raises(Revert, match="names no chains"):
        surveys.ask_chains(write(tmp_path, chains=[]), [bytes(32)])


def test_readers_are_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wait for a chain that never answers; the third is told at once that it has not."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        survey = Survey(read_watched(write(tmp_path, chains=[{"name": "deaf", "url": url}])))
        waited: list[float] = []
        ask = survey.ask
        monkeypatch.setattr(survey, "ask", lambda keys, seconds: waited.append(seconds) or ask(keys, seconds))
        monkeypatch.setitem(surveys._surveys, tmp_path, survey)
        with surveys._WAITING, surveys._WAITING:
            (news,) = surveys.ask_chains(tmp_path, [bytes(32)])
        assert ([0.0], UNREAD, {}) == (waited, news.failure, news.copies)
        surveys.ask_chains(tmp_path, [bytes(32)])
        assert waited[1] > 0
        survey.close()
