"""Two followers behind nginx, as the guide says: reads and subscriptions outlive a follower and the builder."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import microrollup
from command_line import APP, LINES, ROOT
from nginx import run_nginx
from node_fixtures import Caller, receive, subscribe
from ports import find_port
from process_fixtures import Process, run_node, submit
from waiting import wait_for

GUIDE = Path(microrollup.__path__[0]) / "docs" / "operate" / "followers.md"
READS = 200


def read_guide(ports: list[int], port: int) -> str:
    """The guide's configuration, with the names and ports of this test."""
    (text,) = re.findall(r'```nginx title="nginx.conf"\n(.*?)```', GUIDE.read_text(), re.DOTALL)
    text = text.replace("listen 8650;", f"listen 127.0.0.1:{port};")
    for number, own in enumerate(ports, 1):
        assert f"follower-{number}:8650" in text
        text = text.replace(f"follower-{number}:8650", f"127.0.0.1:{own}")
    return text


@contextmanager
def run_follower(root: Path, number: int, source: str, port: int) -> Iterator[Caller]:
    """A follower's process, which holds its source to the builder's own L1."""
    options = ["--follow", source, "--l1", root / "builder" / "l1", "--port", port, "--log-json"]
    arguments = ["run", APP, "--data", root / f"follower-{number}", "--json", *options]
    with closing(Process(*arguments, cwd=ROOT)) as process:
        process.read()
        with closing(Caller(None, port)) as caller:  # type: ignore[arg-type]
            caller.process = process  # type: ignore[attr-defined]
            yield caller


def read_follower(caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(caller.get("/health")[1])["follower"]
    return found


def test_reads_scale_and_go_on(tmp_path: Path) -> None:
    """Under reads both followers answer, none of them the builder. The follower of a subscriber is killed: it connects
    again through nginx and misses no block. The builder is killed: reads go on, writes are refused with a code; started
    again, it gets the writes. A killed follower goes on from what it has.
    """
    ports, port, own = [find_port(), find_port()], find_port(), ("--port", find_port())
    with ExitStack() as stack:
        builder = stack.enter_context(run_node(tmp_path / "builder", *own))
        source = builder.process.info["url"]
        followers = [stack.enter_context(run_follower(tmp_path, n, source, ports[n])) for n in range(2)]
        log = stack.enter_context(run_nginx(tmp_path, read_guide(ports, port), port))
        balancer = stack.enter_context(closing(Caller(None, port)))  # type: ignore[arg-type]

        acks = submit(balancer, LINES[:5])
        submit(balancer, LINES[5:10])
        tip = wait_for(lambda: _find_closed(builder, 10))
        for each in followers:
            wait_for(lambda each=each: each.call("height")["latest"] >= tip)
            wait_for(lambda each=each: each.call("height")["settled"] >= tip)
            status = read_follower(each)
            assert (0, None) == (status["lagBlocks"], status["refused"])
        asked = len(log.read_text())
        for number in range(READS):
            assert number % tip + 1 == balancer.call("getHeader", height=number % tip + 1)["height"]
        counts = Counter(line.split()[0] for line in log.read_text()[asked:].splitlines())
        assert {f"127.0.0.1:{each}" for each in ports} == set(counts)
        assert min(counts.values()) >= READS // 4

        seen: list[int] = []
        with balancer.connect() as ws:
            subscribe(ws, "blocks", **{"from": 1})
            seen += [each["result"]["header"]["height"] for each in receive(ws, tip)]
            served = next(n for n in range(2) if json.loads(followers[n].get("/health")[1])["subscribers"])
            followers[served].process.process.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]
            submit(balancer, LINES[10:12])
        with balancer.connect() as ws:
            subscribe(ws, "blocks", **{"from": seen[-1] + 1})
            seen += [each["result"]["header"]["height"] for each in receive(ws, 1)]
        assert list(range(1, len(seen) + 1)) == seen

        builder.process.process.send_signal(signal.SIGKILL)
        builder.process.process.wait(60)
        left = followers[1 - served]
        wait_for(lambda: read_follower(left)["reason"])
        for _ in range(10):
            assert acks[0]["seq"] == balancer.call("getReceipt", hash=acks[0]["actionHash"])["seq"]
        assert -32009 == balancer.fail("submitAction", action=json.loads(LINES[12]))[0]
        assert -32009 == balancer.fail("getNonce", sender="0x" + "11" * 20)[0]
        assert 200 == left.get("/health")[0]
        builder = stack.enter_context(run_node(tmp_path / "builder", *own))
        assert -32009 not in wait_for(lambda: _try(balancer, LINES[12]))
        revived = stack.enter_context(run_follower(tmp_path, served, source, ports[served]))
        tip = wait_for(lambda: _find_closed(builder, 13))
        for each in (left, revived):
            wait_for(lambda each=each: each.call("height")["latest"] >= tip)
            assert builder.call("getHeader", height=tip) == each.call("getHeader", height=tip)


def _find_closed(builder: Caller, actions: int) -> int:
    """The builder's newest height, once so many actions are in closed blocks."""
    header = builder.call("getHeader")
    return int(header["height"]) if header["firstSeq"] + header["actionCount"] >= actions else 0


def _try(caller: Caller, line: bytes) -> dict[str, Any] | None:
    answer = caller.ask("submitAction", action=json.loads(line))
    return answer if "result" in answer else None
