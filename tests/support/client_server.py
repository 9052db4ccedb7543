"""A node's double, for the tests of the client: the real kernel behind a plain web application.

It can be told to misbehave: lose answers, refuse, close connections, or change what it says.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import apps.keystore
from kernel_fixtures import BUILDER, BUILDER_KEY, Chain
from microrollup import MicroRollup
from microrollup.chain.acknowledgement import acknowledgement_to_json, sign_acknowledgement
from microrollup.chain.answers.confirmations import LEVELS
from microrollup.chain.answers.node import ActionConfig, EventConfig, FieldConfig, NodeConfig
from microrollup.chain.block import compute_block_hash, compute_rollup_id
from microrollup.chain.block_json import header_to_json
from microrollup.chain.receipt import Receipt
from microrollup.chain.receipt_proof import InboxDomain, make_receipt_proof, receipt_proof_to_json
from microrollup.codec import schema
from microrollup.codec.canonical import encode_canonical
from microrollup.codec.document import to_document
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.crypto.eip712 import list_types, typed_data
from microrollup.errors import DuplicateAction, MicrorollupError, RefusedError
from microrollup.execution.authentication import Authenticated, Authenticator
from microrollup.ledger.proof_json import proof_to_json
from microrollup.ledger.reading import get_field, prove_state, read_value
from microrollup.sequencer.sequencer import Sequenced
from microrollup.store.tables import find_place, get_block_row, get_receipt

JsonObject = dict[str, Any]
DECODER = msgspec.msgpack.Decoder(Receipt)


class RefusedCall(Exception):
    """An error of JSON-RPC."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.document = {"code": code, "message": message} | ({} if data is None else {"data": data})


class NodeDouble:
    """The methods that the client uses, over a `Chain` that only the server's thread touches."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._tickets = itertools.count()
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self.authenticator = Authenticator(chain.rollup.action_types, chain.genesis.domain)
        self.news: list[JsonObject] = []
        self.behave()

    def behave(self) -> None:
        """Forget all that a test has told it."""
        self.calls: list[str] = []
        self.lines: list[bytes] = []
        """Every action that was handed in, as its bytes came."""
        self.patience = 0.5
        """Seconds that an action may wait for lower nonces."""
        self.lose_answers = 0
        """So many calls are carried out and answered by a closed connection."""
        self.lose_calls = 0
        """So many calls are not even looked at."""
        self.statuses: list[int] = []
        """HTTP statuses to answer the next calls with."""
        self.refusals: list[RefusedCall] = []
        """Errors to answer the next submissions with."""
        self.change: Callable[[str, Any], Any] = lambda _method, answer: answer
        """What the node says instead."""
        self.level = "C1"
        self.key = BUILDER_KEY
        self.auto_close = True
        self.drop_after = 0
        """Close a subscriber's connection after so many notifications; 0 for never."""
        self.no_websocket = False
        self.subscribed: list[JsonObject] = []

    # What the methods answer

    def config(self) -> JsonObject:
        rollup, genesis = self.chain.rollup, self.chain.genesis
        config = NodeConfig(
            name=rollup.name,
            version=rollup.version,
            rollup_id=compute_rollup_id(genesis),
            genesis_hash=bytes(32),
            stf_id=rollup.stf_id,
            l1_chain_id=genesis.l1_chain_id,
            inbox=genesis.domain.verifying_contract,
            builder=BUILDER,
            verifiers=genesis.verifiers,
            quorum=genesis.quorum,
            domain=genesis.domain,
            types={},
            actions=tuple(
                ActionConfig(each.name, each.type_string, each.type_hash, describe_types(each))
                for each in rollup.action_types
            ),
            fields=tuple(
                FieldConfig(field.name, "map" if field.is_map else "scalar", field.settled, field.number, None, "")
                for field in rollup.state_type.fields
            ),
            events=tuple(
                EventConfig(name, list_types(schema.describe_struct(cls, where="event"), nonce=False))
                for name, cls in rollup.event_classes.items()
            ),
            block_time=1.0,
            block_size=100,
            limits={},
            confirmations=LEVELS,
        )
        return {**to_document(config), "somethingNew": True}

    async def submit_action(self, action: Any) -> JsonObject:
        if self.refusals:
            raise self.refusals.pop(0)
        line = json.dumps(action).encode()
        self.lines.append(line)
        try:
            outcome = await self._decide(authentic := self.authenticator.authenticate_line(line))
        except RefusedError as error:
            outcome = error
        if isinstance(outcome, DuplicateAction):
            outcome = self._find(authentic.action_hash)
        if isinstance(outcome, RefusedError):
            raise RefusedCall(-32000, "action refused", {"code": outcome.code, "detail": outcome.detail})
        return self._acknowledge(outcome)

    async def _decide(self, authentic: Authenticated) -> Any:
        """What becomes of an action; one that waits for lower nonces is refused after a while."""
        ticket = next(self._tickets)
        self._futures[ticket] = asyncio.get_running_loop().create_future()
        self._resolve(self.chain.sequencer.submit([(ticket, authentic)]))
        if self.auto_close:
            self.close_block()
        try:
            return await asyncio.wait_for(asyncio.shield(self._futures[ticket]), self.patience)
        except TimeoutError:
            self._resolve(self.chain.sequencer.give_up_waiting())
            return await self._futures[ticket]

    def _resolve(self, outcomes: Any) -> None:
        for ticket, outcome in outcomes:
            if not self._futures[ticket].done():
                self._futures[ticket].set_result(outcome)

    def _acknowledge(self, outcome: Sequenced) -> JsonObject:
        genesis = self.chain.genesis
        signed = sign_acknowledgement(
            self.key,
            compute_rollup_id(genesis),
            outcome.height,
            outcome.receipt,
            chain_id=genesis.l1_chain_id,
            inbox=genesis.domain.verifying_contract,
        )
        return acknowledgement_to_json(signed)

    def _find(self, action_hash: bytes) -> Sequenced:
        ledger = self.chain.ledger
        reader, tables = ledger.environment.reader, ledger.environment.tables
        place = find_place(reader, tables, action_hash, ledger.checkpoint.next_seq)
        if place is None:
            assert ledger.block is not None
            (receipt,) = [each for each in ledger.block.receipts if each.action_hash == action_hash]
            return Sequenced(ledger.block.open.height, receipt)
        stored = get_receipt(reader, tables, place.seq)
        assert stored is not None
        return Sequenced(place.height, DECODER.decode(stored))

    def close_block(self) -> None:
        header = self.chain.sequencer.close_block()
        if header is not None:
            self.chain.advance()
            self.tell(header.height, {"height": header.height, "level": "C1"})

    def tell(self, cursor: int, result: JsonObject) -> None:
        self.news.append({"cursor": cursor, "result": result})

    async def submit_actions(self, actions: list[Any]) -> list[JsonObject]:
        answers = []
        for action in actions:
            try:
                answers.append({"ack": await self.submit_action(action)})
            except RefusedCall as error:
                answers.append({"error": error.document})
        return answers

    def get_nonce(self, sender: str) -> JsonObject:
        return {
            "sender": sender,
            "next": self.chain.ledger.state.nonces.get(bytes.fromhex(sender[2:]), 0),
            "pending": 0,
            "closed": 0,
        }

    def get_confirmation(self, height: int | None = None, hash: str | None = None) -> JsonObject:  # noqa: A002
        found = self._find(bytes.fromhex(hash[2:])).height if hash else height
        return {"level": self.level, "height": found}

    def get_height(self) -> JsonObject:
        return {"latest": self.chain.ledger.header.height, "verified": 0, "available": 0, "settled": 0}

    def get_header(self, height: int | str) -> JsonObject:
        environment = self.chain.ledger.environment
        number = self.chain.ledger.header.height if height == "latest" else int(height)
        with environment.snapshot() as txn:
            row = get_block_row(txn, environment.tables, number)
        if row is None:
            raise RefusedCall(-32001, "there is no such block")
        return {**header_to_json(row.header), "hash": hex0x(compute_block_hash(row.header))}

    def get_state(self, field: str, key: Any = None, height: int | None = None) -> JsonObject:
        described = get_field(self.chain.rollup, field)
        value = read_value(self.chain.ledger.environment, described, self._read_key(field, key), height)
        shown = None if value is None else to_json_value(described.value_type, value)
        found = self.chain.ledger.header.height if height is None else height
        return {"field": field, "key": key, "exists": value is not None, "value": shown, "height": found}

    def get_proof(self, field: str, key: Any = None, height: int | None = None) -> JsonObject:
        described, ledger = get_field(self.chain.rollup, field), self.chain.ledger
        proof = prove_state(ledger.environment, ledger.tree, described, self._read_key(field, key), height)
        return proof_to_json(described, proof)

    def _read_key(self, field: str, key: Any) -> bytes:
        described = get_field(self.chain.rollup, field)
        return (
            b""
            if described.key_type is None
            else described.encode_key(compile_json_reader(described.key_type, "key")(key))
        )

    def get_receipt_proof(self, hash: str) -> JsonObject:  # noqa: A002
        found = self._find(bytes.fromhex(hash[2:]))
        block = self.chain.ledger.get_block(found.height)
        if block is None:
            raise RefusedCall(-32001, "its block is open")
        header, environment = block.header, self.chain.ledger.environment
        with environment.snapshot() as txn:
            seqs = range(header.first_seq, header.first_seq + header.action_count)
            receipts = [bytes(get_receipt(txn, environment.tables, seq) or b"") for seq in seqs]
        assert encode_canonical(found.receipt) == receipts[found.receipt.seq - header.first_seq]
        genesis = self.chain.genesis
        inbox = genesis.domain.verifying_contract
        signed = sign_acknowledgement(
            self.key, header.rollup_id, found.height, found.receipt, chain_id=genesis.l1_chain_id, inbox=inbox
        )
        domain = InboxDomain(genesis.l1_chain_id, inbox)
        return receipt_proof_to_json(
            make_receipt_proof(header, block.seal, receipts, found.receipt.seq - header.first_seq, signed, domain)
        )

    # Over the network

    async def dispatch(self, call: JsonObject) -> JsonObject:
        name = call["method"].removeprefix("rollup_")
        self.calls.append(name)
        methods: dict[str, Callable[..., Any]] = {
            "config": self.config,
            "submitAction": self.submit_action,
            "submitActions": self.submit_actions,
            "getNonce": self.get_nonce,
            "getConfirmation": self.get_confirmation,
            "height": self.get_height,
            "getHeader": self.get_header,
            "getState": self.get_state,
            "getProof": self.get_proof,
            "getReceiptProof": self.get_receipt_proof,
        }
        answer = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            if name not in methods:
                raise RefusedCall(-32601, f"there is no method {call['method']}")
            found = methods[name](**call["params"])
            return {**answer, "result": self.change(name, await found if inspect.isawaitable(found) else found)}
        except RefusedCall as error:
            return {**answer, "error": error.document}
        except MicrorollupError as error:
            return {**answer, "error": {"code": -32602, "message": str(error)}}

    async def serve_http(self, request: Request) -> Response:
        body = await request.body()
        if self.lose_calls:
            self.lose_calls -= 1
            return LostConnection()
        if self.statuses:
            return Response("the proxy says no", self.statuses.pop(0))
        answer = await self.dispatch(json.loads(body))
        if self.lose_answers:
            self.lose_answers -= 1
            return LostConnection()
        return Response(json.dumps(answer), media_type="application/json")

    async def serve_websocket(self, socket: WebSocket) -> None:
        if self.no_websocket:
            await socket.close()
            return
        await socket.accept()
        try:
            call = json.loads(await socket.receive_text())
            params = call["params"]
            self.subscribed.append(params)
            await socket.send_text(
                json.dumps(
                    {"jsonrpc": "2.0", "id": call["id"], "result": {"subscription": "1", "cursor": len(self.news)}}
                )
            )
            position = 0 if "from" in params else len(self.news)
            sent = 0
            while True:
                for news in self.news[position:]:
                    position += 1
                    if news["cursor"] < params.get("from", 0):
                        continue
                    await socket.send_text(
                        json.dumps(
                            {"jsonrpc": "2.0", "method": "rollup_subscription", "params": {"subscription": "1", **news}}
                        )
                    )
                    sent += 1
                    if sent == self.drop_after:
                        await socket.close()
                        return
                await asyncio.sleep(0.01)
        except (WebSocketDisconnect, RuntimeError):
            return


class LostConnection(Response):
    """An answer of which nothing arrives but its beginning."""

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        raise ConnectionError("lost on purpose")


def hex0x(raw: bytes) -> str:
    return f"0x{raw.hex()}"


def describe_types(action_type: Any) -> JsonObject:
    """The types object of an action, without the domain's."""
    example = make_example(action_type.type)
    types = typed_data(action_type.type, example, 0, name="", version="", chain_id=0, contract=bytes(20))["types"]
    return {name: members for name, members in types.items() if name != "EIP712Domain"}


def make_example(t: Any) -> Any:
    """Some value of a type."""
    match t:
        case schema.IntegerType():
            return 0
        case schema.FixedBytesType():
            return bytes(t.size)
        case schema.BytesType():
            return b""
        case schema.BoolType():
            return False
        case schema.StringType():
            return ""
        case schema.SequenceType():
            return t.container()
        case schema.StructType():
            return t.cls(*[make_example(field.type) for field in t.fields])


class RunningNode:
    """The double, its address, and a way into its thread."""

    def __init__(self, double: NodeDouble, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.double = double
        self.url = url
        self._loop = loop

    def run(self, function: Callable[[], Any]) -> Any:
        """Call a function in the server's thread."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(60)


@contextmanager
def serve(rollup: MicroRollup = apps.keystore.app) -> Iterator[RunningNode]:
    """A double on a free port of the loopback."""
    shared = Path("/dev/shm")  # noqa: S108
    with TemporaryDirectory(dir=shared if shared.is_dir() else None) as directory:
        chain = Chain(Path(directory), rollup)
        double = NodeDouble(chain)
        app = Starlette(
            routes=[
                Route("/", double.serve_http, methods=["POST"]),
                WebSocketRoute("/", double.serve_websocket),
            ]
        )
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", http="h11", ws="websockets-sansio", lifespan="off")
        server = uvicorn.Server(config)
        loops: Queue[asyncio.AbstractEventLoop] = Queue()

        async def run() -> None:
            loops.put(asyncio.get_running_loop())
            await server.serve([listener])
            await asyncio.sleep(0)

        thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        thread.start()
        try:
            yield RunningNode(double, f"http://127.0.0.1:{listener.getsockname()[1]}", loops.get())
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join(60)
            listener.close()
            chain.close()
