"""Following a node over a network: whatever it answers, a verifier's process sees typed errors and bounded answers."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from microrollup.chain.receipt_proof import check_receipt_proof, receipt_proof_to_json
from microrollup.chain.record import encode_record
from microrollup.errors import DecodeError, SourceUnavailable, UsageError
from microrollup.settlement.batch import decode_batch
from microrollup.verifier.http_source import MAX_ANSWER_BYTES, HttpSource, RemoteError
from microrollup.verifier.source import find_tip, open_source
from node_fixtures import Site
from receipt_proof_fixtures import make_proof


@contextmanager
def answering(*bodies):
    """A server that gives these answers one after another, the last one for ever; its address."""
    answers = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def result(value):
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode()


def test_blocks_come_as_they_are_stored(tmp_path):
    """Genesis, blocks and the builder's batch of a node are those of its store."""
    site = Site(tmp_path)
    with site.serve() as caller:
        for _ in range(3):
            caller.submit(site.line(("count", 0, 1)))
            _wait_closed(caller)
        source = open_source(caller.url)
        assert isinstance(source, HttpSource)
        assert site.genesis == source.genesis
        blocks = list(source.read_blocks())
        assert blocks == [caller.node.lookups.read_blocks(height, height, 0)[0] for height in (1, 2, 3)]
        assert blocks[1:] == list(source.read_blocks(2))
        assert [] == list(source.read_blocks(4))
        assert 3 == find_tip(source)
        (batch,) = source.read_batches(1)
        assert blocks[0].open == decode_batch(batch).blocks[0].open
        assert [] == source.read_batches(9)
        with pytest.raises(RemoteError):
            source.submit_attestation(b'{"attestation":{},"signature":"0x"}')


def _wait_closed(caller):
    import time

    while caller.node.ledger.block is not None:
        time.sleep(0.01)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"null", result(None), result({}), result({"record": 5}), result({"record": "0xzz"}),
     result({"record": "0x00"}), b"[" * 100_000, b'{"error":{}}', b'{"error":{"code":"x","message":1}}'],
)  # fmt: skip
def test_answers_that_are_none(body):
    """Whatever is no answer is a typed error."""
    with answering(body) as address, pytest.raises((DecodeError, SourceUnavailable)):
        HttpSource(address)


def test_blocks_that_are_none(tmp_path):
    """A list that is none, no blocks in it, or no end of it: typed errors."""
    genesis = result({"record": f"0x{encode_record(Site(tmp_path).genesis).hex()}"})
    for body in (result([]), result({}), result([5]), result(["0x"]), result(["0x00"])):
        with answering(genesis, body) as address:
            source = HttpSource(address)
            with pytest.raises(DecodeError):
                list(source.read_blocks())


def test_answers_are_bounded():
    """An answer larger than any is not read to its end."""
    with answering(b" " * (MAX_ANSWER_BYTES + 10)) as address, pytest.raises(SourceUnavailable, match="more than"):
        HttpSource(address)


def test_nobody_there():
    """A node that does not answer is said to be unavailable, an address that is none to be none."""
    with pytest.raises(SourceUnavailable, match="does not answer"):
        HttpSource("http://127.0.0.1:1")
    for address in ("http://", "http://:5", "http://x:y", "http://x:99999999"):
        with pytest.raises(UsageError):
            HttpSource(address)


def test_a_receipt_proof_has_a_form(tmp_path):
    """What a source answers is read by its members and their number; what is not asked for is passed over."""
    proof = make_proof()
    document = receipt_proof_to_json(proof)
    genesis = result({"record": f"0x{encode_record(Site(tmp_path).genesis).hex()}"})

    def read(answer):
        with answering(genesis, result({"actionHash": "0x" + "00" * 32}), result(answer)) as address:
            return HttpSource(address).read_receipt_proof(3)

    bare = msgspec.structs.replace(proof, acknowledgement=None, domain=None)
    assert bare == read(document) == read(document | {"ack": [[[1]]], "more": [{}] * 9})
    assert check_receipt_proof(bare).receipt
    for name, wrong in (
        ("siblings", ["0x" + "00" * 32] * 65), ("siblings", [[]]), ("siblings", {}), ("receipt", []),
        ("header", []), ("header", {"a": 1}), ("header", document["header"] | {"more": 1}), ("count", -1),
        ("header", document["header"] | {"height": [[]]}), ("seal", {}), ("seal", None), ("index", "x"),
        ("index", 1 << 64), ("blockHash", "0x00"), ("receipt", "0xz"), ("count", []),
    ):  # fmt: skip
        with pytest.raises(DecodeError):
            read(document | {name: wrong})
    for answer in (None, [], {}, {name: value for name, value in document.items() if name != "seal"}):
        with pytest.raises(DecodeError):
            read(answer)
