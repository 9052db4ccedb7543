"""`microrollup relay`: 500 actions of users without ether, past a silent operator, through a relayer that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from command_line import CommandLine, cli
from kernel_fixtures import make_key, make_steps
from microrollup.deployment.relaying import read_plan
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from node_fixtures import ZOO, Site, to_line
from paths import SUPPORT
from waiting import SECONDS, wait_for

__all__ = ["cli"]

USERS = 500
TICKET = make_steps(("set_ticket", 5, 50))
REJECTED = TICKET.__class__([], reject=True)


def write_actions(site: Site, path: Path) -> list[str]:
    """The actions of 500 users, of which some are rejected, some come twice and some too early; what each is told."""
    lines, expected = [], []
    for number in range(USERS):
        name = f"user {number}"
        if number % 50 == 7:
            action, outcome = site.signer.sign(REJECTED, name), "rejected"
        elif number % 50 == 8:
            action, outcome = site.signer.sign(TICKET, name, nonce=3), "skipped"
        elif number % 50 == 9:
            action, outcome = site.signer.sign(TICKET, f"user {number - 3}", nonce=0), "skipped"
        else:
            action, outcome = site.signer.sign(TICKET, name), "executed"
        lines.append(to_line(site, action))
        expected.append(outcome)
    path.write_bytes(b"\n".join([*lines, b'{"type":"Nothing"}']) + b"\n")
    return expected


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """The command in a process of its own: one process opens a settlement once."""
    environment = os.environ | {"PYTHONPATH": str(SUPPORT)}
    command = [sys.executable, "-m", "microrollup", "relay", ZOO, *map(str, arguments), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def finish(*arguments: object, code: int = 0) -> dict[str, Any]:
    process = start(*arguments)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    document: dict[str, Any] = json.loads(out)
    return document


def count_queue(site: Site) -> int:
    with closing(LocalSettlement.open(site.root / "l1", site.get_time)) as l1:
        return l1.get_forced_count(l1.get_number())


def test_500_actions(tmp_path: Path) -> None:
    """Killed while it sends, it goes on where it was; no carrier comes twice; each user learns what became of
    his action.
    """
    site = Site(tmp_path, ZOO)
    actions, plan, key = (tmp_path / name for name in ("actions.jsonl", "relay.plan", "relayer.key"))
    expected = write_actions(site, actions)
    key.write_text(make_key("relayer").secret.hex())
    options = ("--plan", plan, "--key", key, "--l1", site.root / "l1")
    process = start(actions, *options)
    wait_for(lambda: process.poll() is not None or count_queue(site) >= 1)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=SECONDS)
    carriers = len(read_plan(plan).carriers)
    sent = finish(*options, code=1)  # a line that no carrier takes
    assert (carriers, USERS, carriers) == (sent["carriers"], sent["actions"], count_queue(site))
    assert [(USERS, "missing_member")] == [(each["line"], each["error"]) for each in sent["refused"]]
    assert 5 < carriers < 20
    with site.serve() as caller:
        waiting = finish(*options, "--node", caller.url, code=1)["outcomes"]
        assert USERS == sum(waiting.values())
        site.ahead += 3 * SECONDS_PER_BLOCK
        wait_for(lambda: caller.call("getHeader")["forcedCount"] == carriers)
        told = finish(*options, "--node", caller.url, code=1)
        assert expected == [fate["outcome"] for fate in told["fates"]]
        assert list(range(USERS)) == [fate["line"] for fate in told["fates"]]
        assert carriers == len({fate["index"] for fate in told["fates"]})
    assert carriers == count_queue(site)


def test_its_plan(cli: CommandLine, tmp_path: Path) -> None:
    """A plan is not overwritten, not made of nothing, and goes on for its own key and inbox only."""
    site = Site(tmp_path, ZOO)
    actions, plan, key, other = (tmp_path / name for name in ("actions.jsonl", "relay.plan", "a.key", "b.key"))
    actions.write_bytes(site.line(("count", 0, 1)) + b"\n")
    for name, path in (("a", key), ("b", other)):
        path.write_text(make_key(name).secret.hex())
    at = ("--l1", site.root / "l1")
    assert "name the inbox" in cli.refuse("relay", ZOO, actions, "--plan", plan, "--key", key)
    assert "give the FILE" in cli.refuse("relay", ZOO, "--plan", plan, "--key", key, *at)
    assert 1 == finish(actions, "--plan", plan, "--key", key, *at)["carriers"]
    assert "leave FILE out" in cli.refuse("relay", ZOO, actions, "--plan", plan, "--key", key, *at)
    assert "for another key" in cli.refuse("relay", ZOO, "--plan", plan, "--key", other, *at)
    plan.write_bytes(plan.read_bytes()[:-1])
    assert "not a relayer's plan" in cli.refuse("relay", ZOO, "--plan", plan, "--key", key, *at)
    assert 1 == count_queue(site)
