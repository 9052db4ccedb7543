"""Writes what becomes of forced actions, and after how many steps, as JSON: for comparing versions of Python.

`python count_steps.py COUNT`: so many forced actions of the escapes' app, honest ones and escapes by turns.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys

import structlog

from escapes import ESCAPES, Escape, Put, app
from microrollup.declaration.map import Map
from microrollup.execution.block_context import BlockContext
from microrollup.execution.journal import Journal
from microrollup.execution.metering import get_metered
from microrollup.execution.stf import ChainState, Entry, apply_actions


def main(count: int) -> None:
    """One line per escape, and one hash over all; with a smaller budget than a rollup's, to be quick."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    metered = get_metered(app)
    assert metered is not None
    metered.meter.budget = 20_000
    state, total, shown = ChainState(app.genesis, Map(), 0), hashlib.sha256(), []
    for number in range(count):
        action = Escape(number % len(ESCAPES), 10**9) if number < len(ESCAPES) else Put(number % 97)
        if number >= len(ESCAPES) and number % 10 == 0:
            action = Escape(number // 10 % len(ESCAPES), number % 7)
        context = BlockContext(1 + number, 0, number, Journal(len(app.state_fields)))
        entry = Entry(b"", bytes(20), None, bytes(32), action, kind="forced", origin="l1")
        state, (receipt,) = apply_actions(app, state, [entry], context)
        line = [type(action).__name__, receipt.status, receipt.reason, context.steps]
        total.update(json.dumps(line).encode())
        if number < len(ESCAPES):
            shown.append([ESCAPES[number].__name__, *line[1:]])
    content = repr((sorted(state.app.numbers.items()), state.app.total, state.app.text))
    total.update(content.encode())
    json.dump({"escapes": shown, "all": total.hexdigest()}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
