"""kill -9 of a node and of its verifiers, several times while it works: acknowledgements hold, subscribers go on where
they were, verifiers catch up, and in the end everything is as if nobody had been killed.
"""

import json
import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from command_line import APP, LINES, ROOT
from node_fixtures import Caller, receive, subscribe
from paths import KEYSTORE_DATA
from process_fixtures import Process, run_node
from waiting import SECONDS, wait_for

DATA = KEYSTORE_DATA
STATE_ROOT = json.loads((DATA / "wallet-actions.expected.json").read_bytes())["stateRoot"]
GROUP = 20


class Address:
    """Where the node is at present; who works with it waits while it is nowhere."""

    def __init__(self):
        self.port = None
        self.done = False
        self._there = threading.Event()

    def move(self, port):
        self.port = port
        self._there.set() if port else self._there.clear()

    def get(self):
        self._there.wait(SECONDS)
        return self.port


class Writer(threading.Thread):
    """Submits all lines in order, a group at a time; what was not answered is submitted again at the next node."""

    def __init__(self, address, lines, allowed):
        super().__init__()
        self.address = address
        self.lines = lines
        self.allowed = allowed
        """It waits after so many, so that the work lasts as long as the test needs it."""
        self.acks = []
        self.repeated = 0
        """Groups that had been cut off, and were submitted again."""
        self.failure = None

    def run(self):
        while len(self.acks) < len(self.lines):
            with closing(Caller(None, self.address.get())) as caller:
                try:
                    while len(self.acks) < len(self.lines):
                        first = len(self.acks)
                        if first < self.allowed:
                            answers = caller.submit(*self.lines[first : first + GROUP])
                            self.acks += [answer["ack"] for answer in answers]
                        time.sleep(0.02)
                except (OSError, ValueError, AssertionError, KeyError) as error:
                    self.repeated += 1
                    self.failure = error
                    if self.repeated > 200:
                        return
                    time.sleep(0.05)


class Subscriber(threading.Thread):
    """Reads one topic to the end of the test, from its cursor on whenever its connection is lost."""

    def __init__(self, address, topic, start):
        super().__init__()
        self.address = address
        self.topic = topic
        self.cursor = start
        self.connections = 0
        self.items = []

    def run(self):
        while not self.address.done:
            with closing(Caller(None, self.address.get())) as caller:
                try:
                    with caller.connect() as ws:
                        subscribe(ws, self.topic, **{"from": self.cursor})
                        self.connections += 1
                        while not self.address.done:
                            (each,) = receive(ws, 1)
                            self.items.append(each["result"])
                            self.cursor = each["cursor"] + 1
                except Exception:  # noqa: S110 - whatever ends a connection, the next one has to go on
                    pass
            time.sleep(0.05)


def read_verifier(caller):
    """The process of the node's only verifier, and how often one was lost."""
    (verifier,) = caller.call("status")["verifiers"]
    return verifier["pid"], verifier["lost"]


def is_running(pid):
    """Whether a process is there and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_settled(caller, count):
    """Until all of so many actions are in closed blocks, and these are settled."""

    def is_settled():
        header = caller.call("getHeader")
        is_closed = header["firstSeq"] + header["actionCount"] == count
        return is_closed and caller.call("height")["settled"] == header["height"]

    wait_for(is_settled)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The wallet's two thousand actions through nodes that are killed every few hundred, at moments of chance."""
    rng, address = Random(7), Address()
    directory = tmp_path_factory.mktemp("killed") / "data"
    writer = Writer(address, LINES[:2000], 0)
    subscribers = [Subscriber(address, "receipts", 0), Subscriber(address, "blocks", 1)]
    threads = [writer, *subscribers]
    orphans, settled = [], []
    for number in range(5):
        with run_node(directory) as caller:
            address.move(caller.port)
            writer.allowed += 300
            if number == 0:
                for thread in threads:
                    thread.start()
            if number == 4:
                writer.allowed = 2000
                writer.join(SECONDS)
                wait_until_settled(caller, 2000)
                count = len(writer.acks)
                wait_for(lambda count=count: len(subscribers[0].items) >= count)
                wait_for(lambda caller=caller: len(subscribers[1].items) >= caller.call("height")["latest"])
                address.done = True
                caller.answers = {
                    "height": caller.call("height"),
                    "header": caller.call("getHeader"),
                    "receipts": [caller.call("getReceipt", hash=ack["actionHash"]) for ack in writer.acks[::10]],
                    "again": [answer["ack"] for answer in caller.submit(*writer.lines[:500])],
                }
                assert 0 == caller.process.stop()[0]
                break
            goal = len(writer.acks) + rng.randrange(20, 200)
            wait_for(lambda goal=goal: len(writer.acks) >= goal)
            if number % 2:  # when something is settled; and the verifier first, so that the node ends without one
                wait_for(lambda: caller.call("height")["settled"] > max(settled))
                writer.allowed += 100
                wait_for(lambda: len(writer.acks) > writer.allowed - 100)
            pid, _ = read_verifier(caller)
            if number % 2:
                os.kill(pid, signal.SIGKILL)
            settled.append(caller.call("height")["settled"])
            address.move(None)
            caller.process.process.kill()
            caller.process.process.wait(60)
            orphans.append(pid)
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    wait_for(lambda: not any(is_running(pid) for pid in orphans))
    return writer, subscribers, caller.answers, settled


def test_no_acknowledged_action_is_lost(story):
    """Each action was acknowledged once and for all: its seq is its place, and asking again gives the same answer."""
    writer, _, answers, _ = story
    assert list(range(2000)) == [ack["seq"] for ack in writer.acks], writer.failure
    assert 2000 == len({ack["actionHash"] for ack in writer.acks})
    assert writer.acks[:500] == answers["again"]
    for ack, receipt in zip(writer.acks[::10], answers["receipts"], strict=True):
        assert (ack["seq"], ack["height"], ack["status"]) == (receipt["seq"], receipt["height"], receipt["status"])
        assert "C3B" == receipt["confirmation"]


def test_the_state_is_that_of_an_undisturbed_run(story):
    """The last block has the state root that the same actions have without any kill, and all of it is settled."""
    _, _, answers, _ = story
    assert STATE_ROOT == answers["header"]["stateRoot"]
    assert 1 == len(set(answers["height"].values()))


def test_subscribers_go_on_without_gaps(story):
    """Subscribers saw every receipt and every block once, in order, over all lives of the node; nothing that they were
    told was taken back.
    """
    writer, (receipts, blocks), answers, _ = story
    assert [(ack["seq"], ack["actionHash"], ack["height"]) for ack in writer.acks] == [
        (item["seq"], item["actionHash"], item["height"]) for item in receipts.items
    ]
    assert list(range(1, answers["height"]["latest"] + 1)) == [item["header"]["height"] for item in blocks.items]
    assert min(receipts.connections, blocks.connections) >= 4


def test_settlement_never_goes_back(story):
    """What was settled stays so over kills."""
    _, _, answers, settled = story
    assert sorted(settled) == settled
    assert 0 < settled[1] < settled[3]
    assert settled[-1] <= answers["height"]["settled"]


def test_a_verifier_is_killed_again_and_again(tmp_path):
    """While its verifier is killed, the node acknowledges as before; the next process catches up and settles it all."""
    address = Address()
    writer = Writer(address, LINES[:2000], 500)
    with run_node(tmp_path / "data") as caller:
        address.move(caller.port)
        writer.start()
        killed = []
        for round_number in range(2):
            wait_for(lambda lost=round_number: read_verifier(caller)[0] and read_verifier(caller)[1] == lost)
            before = len(writer.acks)
            killed.append(read_verifier(caller)[0])
            writer.allowed = before + 500
            os.kill(killed[-1], signal.SIGKILL)
            wait_for(lambda before=before: len(writer.acks) >= before + 100)
        writer.allowed = 2000
        writer.join(SECONDS)
        assert (2000, 0) == (len(writer.acks), writer.repeated), writer.failure
        wait_until_settled(caller, 2000)
        pid, lost = read_verifier(caller)
        assert 2 == lost
        assert pid not in killed
        assert STATE_ROOT == caller.call("getHeader")["stateRoot"]
        assert 200 == caller.get("/health")[0]


def test_a_verifier_elsewhere_is_killed(tmp_path):
    """A verifier on its own store that is killed while blocks come starts again where it was, and settles them."""
    with run_node(tmp_path / "data") as caller:
        caller.process.stop()
    key = tmp_path / "verifier.key"
    (tmp_path / "data" / "keys" / "verifier.key").rename(key)
    address = Address()
    writer = Writer(address, LINES[:1000], 500)
    with run_node(tmp_path / "data") as caller:
        assert [] == caller.call("status")["verifiers"]
        arguments = ["verify", APP, "--from", caller.url, "--l1", tmp_path / "data" / "l1", "--key", key]
        arguments += ["--data", tmp_path / "own", "--follow", "--json"]
        address.move(caller.port)
        with closing(Process(*arguments, cwd=ROOT)) as verifier:
            verifier.read()
            writer.start()
            wait_for(lambda: caller.call("height")["verified"] >= 1)
            verifier.process.kill()
            verifier.process.wait(60)
            writer.allowed = 1000
        writer.join(SECONDS)
        verified = caller.call("height")["verified"]
        with closing(Process(*arguments, cwd=ROOT)) as verifier:
            wait_until_settled(caller, 1000)
            assert verifier.read()["verified"] >= verified
            assert (1000, 0) == (len(writer.acks), writer.repeated), writer.failure
            assert 0 == verifier.stop()[0]
