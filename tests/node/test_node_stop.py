"""A node that is told to stop while clients do what they like: it ends in time, with nothing to complain of."""

import time
from contextlib import ExitStack

import pytest

from command_line import LINES
from process_fixtures import run_node, submit
from waiting import wait_for
from wire_fixtures import HEAD, UPGRADE, connect_raw, make_frame, read_head

QUESTION = b'{"jsonrpc":"2.0","id":1,"method":"rollup_getBlocks","params":[1]}'
OVER_HTTP = HEAD + b"Content-Length: %d\r\n\r\n" % len(QUESTION) + QUESTION
FOLLOW = b'{"jsonrpc":"2.0","id":1,"method":"rollup_subscribe","params":["receipts",null,0]}'
OPENINGS = {
    "answers over HTTP": (b"", OVER_HTTP * 20),
    "answers over a WebSocket": (UPGRADE, make_frame(QUESTION) * 20),
    "notifications": (UPGRADE, make_frame(FOLLOW) * 8),
    "half a request": (b"", HEAD + b"Content-Length: 9\r\n\r\n{"),
    "half a frame": (UPGRADE, make_frame(b"x" * 10)[:5]),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize("name", list(OPENINGS))
def test_who_does_not_read_or_end_holds_nobody_up(tmp_path, name):
    """Clients that read nothing, or say half of something, are cut off: exit code 0 in time, and an empty log."""
    first, rest = OPENINGS[name]
    with run_node(tmp_path / "data") as caller, ExitStack() as stack:
        for start in range(0, 1_000, 500):
            submit(caller, LINES[start : start + 500])
        wait_for(lambda: caller.call("height")["latest"] >= 1)
        for _ in range(3):
            raw = stack.enter_context(connect_raw(caller, receive_bytes=4_096))
            if first:
                raw.sendall(first)
                read_head(raw)
            raw.sendall(rest)
        time.sleep(0.5)
        assert (0, "") == caller.process.stop()
