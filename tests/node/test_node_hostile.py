"""A node among hostile clients, as a process: whatever they send, every reply is a well-formed error, memory stays
within bounds, nothing is logged as a failure of ours, and other clients are served meanwhile.
"""

import json
import os
import signal
import socket
import struct
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from command_line import LINES
from microrollup.rpc.methods import make_methods
from microrollup.rpc.openrpc import describe_openrpc
from node_fixtures import Caller, subscribe
from process_fixtures import run_node, submit
from waiting import wait_for
from wire_fixtures import HEAD, UPGRADE, connect_raw, make_frame, read_head

DOCUMENT = describe_openrpc(make_methods(), "keystore", "http://127.0.0.1")
METHODS = {method["name"]: method for method in DOCUMENT["methods"]}
CODES = {-32700, -32600, -32601, -32602, *range(-32005, -31999)}
"""All that may be answered; an internal error is not among them."""

MORE_MEMORY = 200 << 20
"""So much the node may grow under all of this together."""


class Neighbour(threading.Thread):
    """A client with plain questions, all the time; it counts the answers."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.answers = 0
        self.stop = threading.Event()
        self.failure = None

    def run(self):
        with closing(Caller(None, self.port)) as caller:
            while not self.stop.wait(0.01):
                try:
                    assert caller.call("height")["latest"] >= 0
                except Exception as error:
                    self.failure = error
                    return
                self.answers += 1


@pytest.fixture(autouse=True)
def the_neighbour_is_served(caller):
    """Whatever a test does to the node, its neighbour has answers after it."""
    yield
    before = caller.neighbour.answers
    wait_for(lambda: caller.neighbour.answers > before or caller.neighbour.failure)


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    """A node with blocks in it, a neighbour that is served all the time, and in the end a look at what was logged."""
    with run_node(tmp_path_factory.mktemp("hostile") / "data") as caller:
        for first in range(0, 1_000, 200):
            submit(caller, LINES[first : first + 200])
        wait_for(lambda: caller.call("height")["settled"] >= 1)
        caller.neighbour = neighbour = Neighbour(caller.port)
        neighbour.start()
        before = read_memory(caller)
        yield caller
        grown = read_peak(caller) - before
        neighbour.stop.set()
        neighbour.join(60)
        assert neighbour.failure is None
        assert 200 == caller.get("/health")[0]
        assert grown < MORE_MEMORY
        code, err = caller.process.stop()
        assert (0, "") == (code, err)


def read_memory(caller, word="VmRSS"):
    for line in Path(f"/proc/{caller.process.process.pid}/status").read_text().splitlines():
        if line.startswith(word):
            return int(line.split()[1]) * 1024
    raise AssertionError


def read_peak(caller):
    return read_memory(caller, "VmHWM")


def check_answer(raw, identity=None):
    """One answer of JSON-RPC, a result or an error of a documented code without a word of Python; the code or None."""
    answer = json.loads(raw)
    assert "2.0" == answer["jsonrpc"]
    if identity is not None:
        assert identity == answer["id"]
    if "error" not in answer:
        assert {"jsonrpc", "id", "result"} == set(answer)
        return None
    assert {"jsonrpc", "id", "error"} == set(answer)
    error = answer["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "data"}
    assert error["code"] in CODES, error
    text = json.dumps(error)
    assert "Traceback" not in text
    assert ".py" not in text
    assert len(text) < 4_000
    return error["code"]


# --- driven by the document ------------------------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)


def make_strategy(schema):
    """Values that a schema of the document describes, now and then the neighbours of these."""
    if "$ref" in schema:
        return make_strategy(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of([make_strategy(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            low, high = schema.get("minimum", -(2**53)), schema.get("maximum", 2**53)
            return st.integers(low, min(high, low + 6)) | st.integers(low, high)
        case "string":
            if "pattern" in schema:
                return st.from_regex(schema["pattern"], fullmatch=True)
            return st.text(max_size=40) | st.sampled_from(["accounts", "nonces", "0x", "0x00"])
        case "array":
            return st.lists(make_strategy(schema["items"]), max_size=3)
        case "object":
            required = set(schema.get("required", ()))
            members = {name: make_strategy(each) for name, each in schema.get("properties", {}).items()}
            return st.fixed_dictionaries(
                {name: each for name, each in members.items() if name in required},
                optional={name: each for name, each in members.items() if name not in required},
            )
    return ANY_JSON


@st.composite
def calls(draw):
    """A call of a method of the document: params as documented, some replaced by anything, left out or added."""
    method = METHODS[draw(st.sampled_from(sorted(METHODS)))]
    params = {}
    for param in method["params"]:
        if draw(st.integers(0, 9)) < (9 if param["required"] else 6):
            wrong = draw(st.integers(0, 3)) == 0
            params[param["name"]] = draw(ANY_JSON if wrong else make_strategy(param["schema"]))
    if draw(st.integers(0, 9)) == 0:
        params[draw(st.text(max_size=10))] = draw(ANY_JSON)
    by_position = draw(st.booleans())
    name = method["name"] if draw(st.integers(0, 9)) else method["name"] + draw(st.text(max_size=3))
    return {"jsonrpc": "2.0", "method": name, "params": list(params.values()) if by_position else params}


def is_unsendable(call):
    """Lone surrogates cannot be written as UTF-8."""
    try:
        msgspec.json.encode(call)
    except UnicodeEncodeError:
        return True
    return False


CAREFUL = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@CAREFUL
@given(st.lists(calls(), min_size=1, max_size=12))
def test_calls_by_the_document(caller, batch):
    """Near what the document says and beside it: each call of a batch has a result or a documented error."""
    batch = [{**call, "id": number} for number, call in enumerate(batch) if not is_unsendable(call)]
    if not batch:
        return
    status, raw = caller.post(msgspec.json.encode(batch))
    assert 200 == status
    answers = json.loads(raw)
    assert [call["id"] for call in batch] == [answer["id"] for answer in answers]
    for call, answer in zip(batch, answers, strict=True):
        code = check_answer(json.dumps(answer).encode(), call["id"])
        if call["method"] not in METHODS:
            assert -32601 == code
        else:
            errors = DOCUMENT["components"]["errors"]
            names = [each["$ref"].rpartition("/")[2] for each in METHODS[call["method"]]["errors"]]
            documented = {errors[name]["code"] for name in names}
            assert code is None or code in documented | {-32600, -32602, -32004}, call


def test_calls_by_the_document_over_a_socket(caller):
    """The same over one WebSocket that lives through all of it; subscriptions that come about do no harm."""
    with caller.connect(max_queue=None) as ws:

        @settings(CAREFUL, max_examples=120)
        @given(calls())
        def ask(call):
            if is_unsendable(call):
                return
            ws.send(msgspec.json.encode({**call, "id": "x"}))
            while True:
                raw = ws.recv(timeout=60)
                answer = json.loads(raw)
                if answer.get("method") != "rollup_subscription":
                    check_answer(raw, "x")
                    return

        ask()


@settings(CAREFUL, max_examples=120)
@given(st.binary(max_size=60), st.integers(0, 200), st.sampled_from(["cut", "insert", "replace"]))
def test_broken_bytes(caller, noise, at, how):
    """A good request with bytes cut out, put in or overwritten, no UTF-8 too: an error with a code, or an answer."""
    good = json.dumps([{"jsonrpc": "2.0", "id": 5, "method": "rollup_getBlock", "params": {"height": 1}}] * 2).encode()
    match how:
        case "cut":
            body = good[:at] + good[at + len(noise) :]
        case "insert":
            body = good[:at] + noise + good[at:]
        case _:
            body = good[:at] + noise + good[at + len(noise) :]
    status, raw = caller.post(body)
    assert status in (200, 204)
    if status == 200:
        answers = json.loads(raw)
        for answer in answers if isinstance(answers, list) else [answers]:
            check_answer(json.dumps(answer).encode())


# --- more than one client may have -----------------------------------------------------------------------------------

BOMBS = {
    "getBlocks": {"from": 1, "limit": 100},
    "getBlock": {"height": 1, "withChanges": True},
    "getBatch": {},
    "config": {},
    "submitActions": {"actions": [1] * 1_000},
}


def find_batch(caller):
    """The params that ask for the batch that was settled last."""
    settled = caller.call("height")["settled"]
    every = [{"firstHeight": height} for height in range(settled, 0, -1)]
    return next(params for params in every if "result" in caller.ask("getBatch", **params))


@pytest.mark.parametrize("name", list(BOMBS))
def test_batch_bombs(caller, name):
    """A hundred calls with large answers, in one small body: the answer is bounded, what is too much is refused."""
    params = find_batch(caller) if name == "getBatch" else BOMBS[name]
    call = {"jsonrpc": "2.0", "method": f"rollup_{name}", "params": params}
    body = json.dumps([{**call, "id": number} for number in range(100)]).encode()
    status, raw = caller.post(body)
    assert 200 == status
    answers = json.loads(raw)
    assert list(range(100)) == [answer["id"] for answer in answers]
    codes = [check_answer(json.dumps(answer).encode()) for answer in answers]
    assert set(codes) <= {None, -32004}
    assert None in codes
    assert len(raw) < 20 << 20
    if name in ("getBlocks", "getBlock"):
        assert -32004 == codes[-1]


def test_many_bombs_at_once(caller):
    """Several such clients at the same time; a neighbour's call goes through between theirs."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "rollup_getBlocks", "params": {"from": 1}}
    body = json.dumps([call] * 100).encode()
    statuses = []

    def work():
        with closing(Caller(None, caller.port)) as own:
            statuses.append(own.post(body)[0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [200] * 6 == statuses


@pytest.mark.parametrize(("char", "count"), [(b"[", 4_000_000), (b'{"a":', 800_000), (b'[{"":', 700_000)])
def test_deep_bodies_of_full_size(caller, char, count):
    """As deep as a body of the largest size can be: told before it is decoded."""
    status, raw = caller.post(char * count)
    assert (200, -32700) == (status, check_answer(raw))


def test_oversized_bodies_at_once(caller):
    """Bodies beyond the limit are refused, however many and however their length is told; memory does not add up."""
    before = read_memory(caller)
    for _ in range(8):
        with connect_raw(caller) as raw:
            raw.sendall(HEAD + b"Content-Length: 1000000000000\r\n\r\n")
            assert b" 413 " in raw.recv(1_000)
    for _ in range(8):
        with closing(Caller(None, caller.port)) as own:
            status, answer = own.post(b" " * (5 << 20))
            assert (413, -32004) == (status, check_answer(answer))
    assert read_memory(caller) - before < 64 << 20


# --- the wire --------------------------------------------------------------------------------------------------------

BAD_FRAMES = {
    "unmasked": (make_frame(b"{}", masked=False), 1002),
    "text that is no UTF-8": (make_frame(b"\xff\xfe"), 1007),
    "an unknown opcode": (make_frame(b"", 11), 1002),
    "a reserved bit": (bytes([0xC1, 0x80]) + bytes(4), 1002),
    "a fragmented ping": (make_frame(b"", 9, final=False), 1002),
    "a long ping": (make_frame(b"x" * 200, 9), 1002),
    "a continuation of nothing": (make_frame(b"x", 0), 1002),
    "a length beyond all": (make_frame(b"", length=1 << 62), 1009),
    "a length with the first bit set": (make_frame(b"", length=(1 << 63) + 1), 1009),
}


@pytest.mark.parametrize("name", list(BAD_FRAMES))
def test_bad_frames(caller, name):
    """A frame that WebSocket does not allow ends its connection with the code that says so."""
    frame, code = BAD_FRAMES[name]
    with connect_raw(caller) as raw:
        raw.sendall(UPGRADE)
        received = read_head(raw)
        raw.sendall(frame)
        while chunk := raw.recv(4_096):
            received += chunk
    assert b"\x88" == received[:1], received[:50]
    assert code == struct.unpack(">H", received[2:4])[0]


def test_endless_fragments(caller):
    """A message in fragments without an end is ended at the limit, and is not kept beyond it."""
    before = read_memory(caller)
    with connect_raw(caller) as raw:
        raw.sendall(UPGRADE)
        read_head(raw)
        raw.sendall(make_frame(b" " * 1_000, final=False))
        with pytest.raises(OSError):
            for _ in range(2_000):
                raw.sendall(make_frame(b" " * 60_000, 0, final=False))
                time.sleep(0.001)
    assert read_memory(caller) - before < 64 << 20


def test_binary_garbage_over_a_socket(caller):
    """Binary messages are read as JSON too: each has an error, and the connection stays."""
    with caller.connect() as ws:
        for message in (b"\xff" * 50, b"", b"\x00", b"[" * 100_000, b"[[]]", "\ud7ff", "{}", "[]", "1"):
            ws.send(message)
            answers = json.loads(ws.recv(timeout=60))
            for answer in answers if isinstance(answers, list) else [answers]:
                assert check_answer(json.dumps(answer).encode()) in (-32700, -32600)


def test_who_reads_no_answers_is_ended(caller):
    """Clients that ask for much and read nothing, over HTTP or WebSocket, hold little memory, and not for long."""
    question = b'{"jsonrpc":"2.0","id":1,"method":"rollup_getBlocks","params":[1]}'
    over_http = HEAD + b"Content-Length: %d\r\n\r\n" % len(question) + question
    before, others = read_memory(caller), count_connections(caller)
    with ExitStack() as stack:
        for number in range(12):
            raw = stack.enter_context(connect_raw(caller, receive_bytes=4_096))
            if number % 2:
                raw.sendall(UPGRADE)
                read_head(raw)
            raw.sendall((make_frame(question) if number % 2 else over_http) * 20)
        wait_for(lambda: count_connections(caller) <= others)
        assert read_memory(caller) - before < 100 << 20


def count_connections(caller):
    """Connections that the server has."""
    found = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        found += words[3] == "01" and int(words[1].rpartition(":")[2], 16) == caller.port
    return found


def test_half_open_crowd(caller):
    """Hundreds of connections that say a little or nothing leave the others room; when they end, nothing is left."""
    before = count_connections(caller)
    openings = [b"", b"P", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{", UPGRADE, UPGRADE + make_frame(b"x" * 10)[:5]]
    with ExitStack() as stack:
        for number in range(300):
            raw = stack.enter_context(connect_raw(caller))
            raw.sendall(openings[number % len(openings)])
            if number % 4 == 0:  # ends with a reset, as a machine that went away and came back
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert caller.call("height")
        with caller.connect() as ws:
            assert subscribe(ws, "blocks")
    wait_for(lambda: count_connections(caller) <= before + 1)


def test_pipelines_without_end(caller):
    """A thousand requests sent at once on one connection are answered one after another, in order."""
    body = b'{"jsonrpc":"2.0","id":%d,"method":"rollup_height"}'
    with connect_raw(caller) as raw:
        requests = [body % number for number in range(1_000)]
        sender = threading.Thread(
            target=raw.sendall, args=(b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % len(r) + r for r in requests),)
        )
        sender.start()
        received = b""
        while received.count(b'"result"') < 1_000:
            chunk = raw.recv(65_536)
            assert chunk
            received += chunk
        sender.join(60)
    places = [received.index(b'"id":%d,' % number) for number in (0, 1, 500, 999)]
    assert sorted(places) == places


def test_subscriptions_without_end(caller):
    """Subscribing over and over ends at the limit of a connection, and is given back with it."""
    wait_for(lambda: caller.call("status")["subscribers"] == 0)  # those of other tests are gone
    with caller.connect(max_queue=None) as ws:
        for number in range(200):
            ws.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "rollup_subscribe", "params": ["blocks"]}))
        codes = [check_answer(ws.recv(timeout=60)) for _ in range(200)]
        assert (16, 184) == (codes.count(None), codes.count(-32004))
    wait_for(lambda: caller.call("status")["subscribers"] == 0)
    with pytest.raises(ConnectionClosed):
        ws.send("x")


def test_a_stopped_client_is_no_burden(caller):
    """A subscriber whose process is stopped, as a laptop that sleeps, holds nobody up."""
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            with caller.connect() as ws:
                subscribe(ws, "receipts", **{"from": 0})
                time.sleep(30)
        finally:
            os._exit(0)
    try:
        time.sleep(0.3)
        os.kill(child, signal.SIGSTOP)
        acks = submit(caller, LINES[1_000:1_100])
        assert list(range(1_000, 1_100)) == [ack["seq"] for ack in acks]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("topic", ["blocks", "receipts", "events", "confirmations"])
def test_subscriptions_to_the_far_future(caller, topic):
    """Who begins at a cursor that is far from reached waits, and costs no time while waiting."""
    with caller.connect() as ws:
        for _ in range(16):
            subscribe(ws, topic, **{"from": 2**53 - 1})
        before = read_processor_seconds(caller)
        time.sleep(0.5)
        assert read_processor_seconds(caller) - before < 0.3


def read_processor_seconds(caller):
    words = Path(f"/proc/{caller.process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
