"""A relayer of a based rollup: 500 actions of users without ether, through a kill, and what each user is told."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import counting
from based_chain import BasedChain, command, run_based_chain
from microrollup.chain.carrier import encode_carrier
from microrollup.deployment.relaying import read_plan
from microrollup.execution.payload import encode_carried_payload
from waiting import wait_for

USERS = 500
APP = "counting:app"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BasedChain]:
    with run_based_chain(APP, tmp_path_factory.mktemp("relay")) as chain:
        yield chain


def make_lines(chain: BasedChain) -> tuple[list[str], list[str]]:
    """The actions of 500 users, of which some come twice and some too early; what each is told."""
    lines, told = [], []
    for number in range(USERS):
        if number % 50 == 8:
            lines.append(chain.sign(counting.Add(number), f"user {number}", nonce=3))
        elif number % 50 == 9:
            lines.append(chain.sign(counting.Add(number), f"user {number - 3}", nonce=0))
        else:
            lines.append(chain.sign(counting.Add(number), f"user {number}"))
        told.append("skipped" if number % 50 in (8, 9) else "executed")
    return lines, told


def test_500_users(chain: BasedChain, tmp_path: Path) -> None:
    """The relayer is killed after its first carrier and goes on; nothing comes twice. It learns what became of each
    action, and so does a user who has only his own: by a look at L1 and a node, whoever carried it.
    """
    lines, told = make_lines(chain)
    actions, plan, mine = (tmp_path / name for name in ("actions.jsonl", "relay.plan", "mine.jsonl"))
    actions.write_text("\n".join(lines) + "\n")
    options = ("--plan", plan, "--key", chain.anybody)
    process = chain.start_command("relay", APP, actions, *options)
    wait_for(lambda: process.poll() is not None or chain.l1.get_forced_count(chain.l1.get_number()) >= 1)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    carriers = len(read_plan(plan).carriers)
    early = chain.sign(counting.Add(508), "user 508", nonce=3)
    mine.write_text("\n".join([lines[0], lines[8], early, '{"type":"Nothing"}']) + "\n")
    with chain.run(chain.data) as caller:
        code, sent, said = command("relay", APP, *options, *chain.at)
        assert (0, carriers) == (code, sent["carriers"]), said
        assert carriers == chain.l1.get_forced_count(chain.l1.get_number())
        own = ("carried", APP, mine, "--node", caller.url, *chain.at)
        chain.anvil.mine(3)
        chain.wait(caller)
        code, document, said = command("relay", APP, *options, *chain.at, "--node", caller.url)
        assert (1, told) == (code, [fate["outcome"] for fate in document["fates"]]), said
        code, document, said = command(*own)
        assert (1, ["executed", "skipped", "not sent"]) == (code, [fate["outcome"] for fate in document["fates"]]), said
        assert [(3, "missing_member")] == [(each["line"], each["error"]) for each in document["refused"]]
        again = chain.signer.sign(counting.Add(0), "user 0").record  # carried by somebody else, too late
        alone = chain.signer.sign(counting.Add(1), "user 509", 0).record
        chain.force(encode_carrier([again]), encode_carrier([again])[:-1], encode_carried_payload(alone))
        chain.anvil.mine(3)
        chain.wait(caller)
        code, again_told, said = command(*own)
        assert (1, document["fates"]) == (code, again_told["fates"]), said
        mine.write_text(chain.sign(counting.Add(1), "user 509") + "\n")  # forced alone, in no carrier
        code, document, said = command(*own)
        (fate,) = document["fates"]
        assert (0, "executed", None) == (code, fate["outcome"], fate["index"]), said
    assert carriers < 20
