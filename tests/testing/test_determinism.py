"""`testing.determinism`: steps in other processes, and apps that depend on theirs."""

from __future__ import annotations

import locale
import random
import sys
import time
from pathlib import Path

import pytest

from apps.keystore import app as keystore
from kernel_fixtures import make_steps
from microrollup import Action, Context, Event, Map, MicroRollup, State, Uint64, replace, require
from microrollup.errors import UsageError
from microrollup.testing.determinism import NonDeterministic, assert_deterministic
from microrollup.testing.execution import Senders, at, force, next_block
from zoo import zoo

pytestmark = pytest.mark.slow

ALICE, BOB = Senders(2)


class Words(State, frozen=True):
    """Numbers by number, and their sum."""

    numbers: Map[Uint64, Uint64] = Map()
    total: Uint64 = 0


class Noted(Event, frozen=True):
    number: Uint64


class Note(Action, frozen=True):
    """Keep `number`, in the way that `how` names."""

    how: str
    number: Uint64


def hash_seed() -> int:
    return hash("a word") % 2**32


def zone() -> int:
    return time.localtime(0).tm_hour * 60 + time.localtime(0).tm_min


def chance() -> int:
    return random.getrandbits(60)


def codeset() -> int:
    return len(locale.setlocale(locale.LC_CTYPE))


SOURCES = {f.__name__: f for f in (hash_seed, zone, chance, codeset)}


def note(state: Words, action: Note, ctx: Context) -> Words:
    require(action.how != "reason", f"no {hash('a word')}")
    number = action.number
    if action.how == "event":
        ctx.emit(Noted(hash_seed()))
    elif action.how in SOURCES:
        number += SOURCES[action.how]()
    return replace(state, numbers=state.numbers.set(action.number, number), total=number)


app = MicroRollup(name="words", version="1", genesis=Words(), stfs=[note])
drawn = MicroRollup(name="words", version="1", genesis=Words(total=chance()), stfs=[note])


def test_a_deterministic_app_passes() -> None:
    """Blocks, times, forced actions, rejections and events are the same in every process, which are named."""
    steps = [(ALICE, Note("", 3)), at(1_700_000_000), force(BOB, Note("", 4)), next_block(), (BOB, Note("", 5))]
    compared = assert_deterministic(app, steps, interpreters=[])
    assert (f"3.{sys.version_info.minor}",) == compared.versions
    assert 2 == len({(item.hash_seed, item.zone, item.locale) for item in compared.surroundings})
    assert () == compared.left_out
    edits = [(ALICE, make_steps(("set_animal", 1, 7), ("count", 0, 2))), (BOB, make_steps(("delete_ticket", 3, 0)))]
    assert_deterministic(zoo, edits, interpreters=[])


def test_an_app_of_a_package() -> None:
    """An app that consists of modules is imported by its name."""
    assert_deterministic(keystore, [], interpreters=[])


@pytest.mark.parametrize("how", [*SOURCES, "reason", "event"])
def test_what_depends_on_the_process_is_found(how: str) -> None:
    """An app that looks at its process is caught, and the first action that differs is named."""
    steps = [(ALICE, Note("", 1)), next_block(), (BOB, Note("", 2)), (ALICE, Note(how, 3)), (BOB, Note(how, 4))]
    with pytest.raises(NonDeterministic, match=r"action 2 is not deterministic: .*Note: .*hash seed") as caught:
        assert_deterministic(app, steps, interpreters=[])
    assert 2 == caught.value.number


def test_a_genesis_that_depends_on_the_process() -> None:
    """A first state that is drawn by lot is found before any action."""
    with pytest.raises(NonDeterministic, match="the genesis is not deterministic") as caught:
        assert_deterministic(drawn, [], interpreters=[])
    assert -1 == caught.value.number


def test_an_app_that_nobody_can_import() -> None:
    """An app that lives in a function only is told so."""
    hidden = MicroRollup(name="words", version="1", genesis=Words(), stfs=[note])
    with pytest.raises(UsageError, match="not a module's attribute"):
        assert_deterministic(hidden, [], interpreters=[])


def test_interpreters_that_are_of_no_use(tmp_path: Path) -> None:
    """What is not there, or lacks the dependencies, is left out and named with the reason; it does not fail."""
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'msgspec'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    compared = assert_deterministic(app, [], interpreters=[bare, tmp_path / "absent"])
    assert (f"3.{sys.version_info.minor}",) == compared.versions
    assert [
        f"{bare} cannot import microrollup (ModuleNotFoundError: No module named 'msgspec')",
        f"{tmp_path / 'absent'} cannot be started (No such file or directory)",
    ] == list(compared.left_out)
