"""A node as the explorer sees it: JSON-RPC over HTTP and WebSocket in front of a real ledger, with faults on demand."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kernel_fixtures import BUILDER, BUILDER_KEY, MAP_SIZE, VERIFIER, seal
from microrollup.chain.block import Header, compute_block_hash
from microrollup.chain.receipt import STATUS_NAMES
from microrollup.chain.record import Open
from microrollup.codec.json import compile_json_reader, to_json_value
from microrollup.codec.schema import render_schema, to_camel_case
from microrollup.crypto.merkle.items import prove_item
from microrollup.declaration.map import ABSENT, collect_changes
from microrollup.declaration.rollup import MicroRollup
from microrollup.declaration.state import NONCES, State, StateField
from microrollup.errors import NotRetained, RefusedError, UsageError
from microrollup.execution.authentication import Authenticated
from microrollup.execution.entry import make_signed_entry
from microrollup.explorer import SECURITY_HEADERS, load_static_files
from microrollup.ledger.genesis import make_genesis
from microrollup.ledger.ledger import Ledger
from microrollup.ledger.proof_json import proof_to_json
from microrollup.ledger.reading import prove_state, read_header, read_value

__all__ = ["FakeNode", "serve"]

Json = dict[str, Any]


class Refused(Exception):
    """An error as JSON-RPC has it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def hex0x(raw: bytes) -> str:
    return f"0x{raw.hex()}"


def describe_header(header: Header) -> Json:
    words = msgspec.structs.asdict(header).items()
    shown: Json = {to_camel_case(name): hex0x(value) if isinstance(value, bytes) else value for name, value in words}
    return shown


class FakeNode:
    """A ledger with the methods that the explorer calls. Blocks are made by `add_block`, levels by `confirm`."""

    def __init__(self, directory: Path, rollup: MicroRollup, *, age: int = 240) -> None:
        self.rollup = rollup
        self.start = int(time.time()) - age
        self.genesis = make_genesis(
            rollup, builder=BUILDER, verifiers=(VERIFIER,), quorum=1, l1_start=self.start // 12,
            genesis_time=self.start, l1_chain_id=31337,
        )  # fmt: skip
        self.ledger = Ledger.create(directory, rollup, self.genesis, map_size=MAP_SIZE)
        self.lock = threading.RLock()
        self.heights = {"latest": 0, "verified": 0, "available": 0, "settled": 0}
        self.actions: list[Json] = []
        """By seq."""
        self.receipts: list[bytes] = []
        self.by_hash: dict[str, int] = {}
        self.status: Json = {"intake": "open", "queueDepth": 0, "subscribers": 0, "uptime": 61, "memory": 1 << 26}
        self.alter_proof: Callable[[Json], Json] = lambda proof: proof
        self.refuse_sockets = False
        self.connections: list[Connection] = []
        self.subscribed: list[tuple[str, int | None]] = []
        """Topic and `from` of each subscription so far."""

    def close(self) -> None:
        self.ledger.abandon()

    # What a test does to it

    def add_block(self, actions: Sequence[Authenticated], seconds_ago: int = 0) -> Header:
        """Build a block, remember what each action changed, and tell subscribers."""
        with self.lock:
            ledger, height = self.ledger, self.ledger.checkpoint.height + 1
            timestamp = max(ledger.header.timestamp, int(time.time()) - seconds_ago)
            ledger.begin(Open(height, timestamp, self.genesis.l1_start, self.rollup.stf_id))
            for action in actions:
                self._execute(action, height)
            ledger.commit()
            closing = ledger.compute_header()
            header = ledger.finish(closing, seal(closing.header, BUILDER_KEY))
            self.receipts += closing.receipts
            self.heights["latest"] = height
        self.publish("blocks", height, {"header": describe_header(header), "hash": hex0x(compute_block_hash(header))})
        for action in self.actions[header.first_seq :]:
            self.publish("receipts", action["seq"], self._describe_receipt(action))
        return header

    def _execute(self, authenticated: Authenticated, height: int) -> None:
        pre = self.ledger.state.app
        (receipt,) = self.ledger.execute([make_signed_entry(self.rollup, authenticated)])
        types = self.rollup.action_types
        record = types.decode_record(authenticated.record)
        described = types.to_json(record)
        self.by_hash[hex0x(receipt.action_hash)] = receipt.seq
        self.actions.append(
            {
                "seq": receipt.seq,
                "height": height,
                "hash": hex0x(receipt.action_hash),
                **described,
                "sender": hex0x(authenticated.sender),
                "origin": "signed",
                "status": STATUS_NAMES[receipt.status],
                "reason": receipt.reason,
                "events": [{"name": name, "data": hex0x(data)} for name, data in receipt.events],
                "changes": list(describe_changes(self.rollup, pre, self.ledger.state.app)),
            }
        )

    def confirm(self, height: int, level: str) -> None:
        """Raise the mark of a level, and tell."""
        name = {"C2": "verified", "C3A": "available", "C3B": "settled"}[level]
        self.heights[name] = max(self.heights[name], height)
        self.publish("confirmations", height, {"height": height, "level": level, "resume": height})

    def stop_intake(self, reason: str, invalid_from: int | None = None) -> None:
        """As after a C2X."""
        divergence = {"height": invalid_from, "seq": None, "field": "stateRoot", "expected": "0x00", "found": "0x01"}
        self.status = {**self.status, "intake": "stopped", "reason": reason, "divergence": invalid_from and divergence}
        for height in range(invalid_from or 1 << 60, self.heights["latest"] + 1):
            self.publish("confirmations", height, {"height": height, "level": "C2X", "resume": height})

    def publish(self, topic: str, cursor: int, result: Json) -> None:
        for connection in list(self.connections):
            connection.send(topic, cursor, result)

    def drop_sockets(self) -> None:
        """Cut every WebSocket."""
        for connection in list(self.connections):
            connection.cut()

    def drop_slow(self) -> None:
        """Tell every subscriber that it is too slow, and cut it."""
        for connection in list(self.connections):
            connection.put({"jsonrpc": "2.0", "method": "rollup_subscription", "params": {"error": "slow"}})
            connection.cut()

    # What the explorer asks

    def answer(self, method: str, params: Json) -> Any:
        function = getattr(self, f"do_{method.removeprefix('rollup_')}", None)
        if function is None:
            raise Refused(-32601, f"there is no method {method}")
        with self.lock:
            return function(**params)

    def do_config(self) -> Json:
        domain = self.genesis.domain
        fields = self.rollup.state_type.fields
        return {
            "name": self.rollup.name,
            "version": self.rollup.version,
            "rollupId": hex0x(self.ledger.rollup_id),
            "genesisHash": self.do_getHeader(0)["hash"],
            "stfId": hex0x(self.rollup.stf_id),
            "l1ChainId": self.genesis.l1_chain_id,
            "inbox": "0x" + "00" * 20,
            "builder": hex0x(self.genesis.builder),
            "verifiers": [hex0x(verifier) for verifier in self.genesis.verifiers],
            "quorum": self.genesis.quorum,
            "domain": {
                "name": domain.name,
                "version": domain.version,
                "chainId": domain.chain_id,
                "verifyingContract": hex0x(domain.verifying_contract),
            },
            "actions": [
                {"name": action.name, "typeString": action.type_string, "typeHash": hex0x(action.type_hash)}
                for action in self.rollup.action_types
            ],
            "fields": [
                {
                    "name": field.name,
                    "kind": "map" if field.is_map else "scalar",
                    "settled": field.settled,
                    "number": field.number,
                    "keyType": None if field.key_type is None else render_schema(field.key_type),
                    "valueType": render_schema(field.value_type),
                }
                for field in fields
            ],
            "blockTime": 1,
            "blockSize": 1000,
            "limits": {"batch": 100, "bodyBytes": 4 << 20},
        }

    def do_getPages(self) -> list[Json]:  # noqa: N802
        return []

    def do_height(self) -> Json:
        return dict(self.heights)

    def do_status(self) -> Json:
        return {**self.status, "height": self.do_height(), "subscribers": len(self.connections)}

    def do_getHeader(self, height: int | str) -> Json:  # noqa: N802
        number = self.heights["latest"] if height == "latest" else int(height)
        if number > self.heights["latest"]:
            raise Refused(-32001, f"there is no block {number}")
        with self.ledger.environment.snapshot() as txn:
            header = read_header(txn, self.ledger.environment, number)
        return {**describe_header(header), "hash": hex0x(compute_block_hash(header))}

    def do_getBlock(self, height: int | str, withChanges: bool = False) -> Json:  # noqa: FBT002, N802, N803
        header = self.do_getHeader(height)
        block_hash = header.pop("hash")
        first = header["firstSeq"]
        actions = self.actions[first : first + header["actionCount"]]
        hidden = {"message", "signature", "events", "height"} | (set() if withChanges else {"changes"})
        shown = [{name: value for name, value in action.items() if name not in hidden} for action in actions]
        return {"header": header, "hash": block_hash, "seal": None, "actions": shown}

    def _find(self, hash: str | None = None, seq: int | None = None) -> Json:  # noqa: A002
        number = self.by_hash.get(str(hash)) if seq is None else seq
        if number is None or not 0 <= number < len(self.actions):
            raise Refused(-32001, f"no action {hash or seq}")
        return self.actions[number]

    def do_getAction(self, **params: Any) -> Json:  # noqa: N802
        return {name: value for name, value in self._find(**params).items() if name not in ("changes", "events")}

    def do_getReceipt(self, **params: Any) -> Json:  # noqa: N802
        return self._describe_receipt(self._find(**params))

    def _describe_receipt(self, action: Json) -> Json:
        names = ("seq", "height", "type", "sender", "status", "reason", "events")
        return {"actionHash": action["hash"], **{name: action[name] for name in names}, "confirmation": "C1"}

    def do_getReceiptProof(self, hash: str) -> Json:  # noqa: A002, N802
        action = self._find(hash)
        header = self.do_getHeader(action["height"])
        block_hash = header.pop("hash")
        items = self.receipts[header["firstSeq"] : header["firstSeq"] + header["actionCount"]]
        proof = prove_item(items, action["seq"] - header["firstSeq"])
        return {
            "receipt": hex0x(items[proof.index]),
            "index": proof.index,
            "count": len(items),
            "siblings": [hex0x(sibling) for sibling in proof.siblings],
            "header": header,
            "blockHash": block_hash,
        }

    def _read_key(self, name: str, key: object) -> tuple[StateField, bytes]:
        try:
            field = self.rollup.state_type.get_field(name)
            if field.key_type is None:
                return field, b""
            return field, field.encode_key(compile_json_reader(field.key_type, "key")(key))
        except (KeyError, RefusedError) as error:
            raise Refused(-32602, f"invalid params: {error}") from None

    def do_getState(self, field: str, key: object = None, height: int | None = None) -> Json:  # noqa: N802
        found, encoded = self._read_key(field, key)
        value = read_value(self.ledger.environment, found, encoded, height)
        shown = None if value is None else to_json_value(found.value_type, value)
        at = self.heights["latest"] if height is None else height
        return {"field": field, "key": key, "exists": value is not None, "value": shown, "height": at}

    def do_getProof(self, field: str, key: object = None, height: int | None = None) -> Json:  # noqa: N802
        found, encoded = self._read_key(field, key)
        try:
            proof = prove_state(self.ledger.environment, self.ledger.tree, found, encoded, height)
        except NotRetained as error:
            raise Refused(-32002, str(error)) from None
        except UsageError as error:
            raise Refused(-32001, str(error)) from None
        return self.alter_proof(proof_to_json(found, proof))

    def do_getNonce(self, sender: str) -> Json:  # noqa: N802
        nonce = read_value(self.ledger.environment, NONCES, bytes.fromhex(sender[2:])) or 0
        return {"sender": sender, "next": nonce, "pending": nonce, "closed": nonce}


def describe_changes(rollup: MicroRollup, pre: State, post: State) -> Iterator[Json]:
    """What an action changed, key by key."""
    for name, field in rollup.state_fields:
        before, after = getattr(pre, name), getattr(post, name)
        if before is after:
            continue
        pairs = collect_changes(before, after) if field.is_map else [(None, before, after)]
        for key, old, new in pairs:
            if old == new:
                continue
            yield {
                "field": name,
                "key": None if field.key_type is None else to_json_value(field.key_type, key),
                "before": None if old is ABSENT else to_json_value(field.value_type, old),
                "after": None if new is ABSENT else to_json_value(field.value_type, new),
            }


class Connection:
    """One WebSocket with its subscriptions."""

    def __init__(self, node: FakeNode, websocket: WebSocket) -> None:
        self.node = node
        self.websocket = websocket
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self.topics: dict[str, str] = {}

    def send(self, topic: str, cursor: int, result: Json) -> None:
        """From any thread."""
        for subscription, subscribed in list(self.topics.items()):  # the page may subscribe meanwhile
            if subscribed == topic:
                params = {"subscription": subscription, "cursor": cursor, "result": result}
                message = {"jsonrpc": "2.0", "method": "rollup_subscription", "params": params}
                self.put(message)

    def put(self, message: Json | None) -> None:
        self.loop.call_soon_threadsafe(self.queue.put_nowait, message)

    def cut(self) -> None:
        self.put(None)

    async def run(self) -> None:
        await self.websocket.accept()
        self.node.connections.append(self)
        sender = asyncio.create_task(self._send())
        try:
            while True:
                request = json.loads(await self.websocket.receive_text())
                if request["method"] == "rollup_subscribe":
                    self._subscribe(request)
                else:
                    self.queue.put_nowait(answer_one(self.node, request))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self.node.connections.remove(self)
            sender.cancel()

    def _subscribe(self, request: Json) -> None:
        topic, start = request["params"]["topic"], request["params"].get("from")
        self.node.subscribed.append((topic, start))
        subscription = f"{topic}-{len(self.node.subscribed)}"
        result = {"subscription": subscription, "cursor": 0}
        self.queue.put_nowait({"jsonrpc": "2.0", "id": request["id"], "result": result})
        with self.node.lock:
            self.topics[subscription] = topic
            if start is not None and topic == "blocks":
                for height in range(start, self.node.heights["latest"] + 1):
                    self.send(topic, height, self.node.do_getHeader(height))
            if start is not None and topic == "receipts":
                for action in self.node.actions[start:]:
                    self.send(topic, action["seq"], self.node._describe_receipt(action))

    async def _send(self) -> None:
        while (message := await self.queue.get()) is not None:
            await self.websocket.send_text(json.dumps(message))
        await self.websocket.close(1011)


def answer_one(node: FakeNode, request: Json) -> Json:
    try:
        return {
            "jsonrpc": "2.0",
            "id": request["id"],
            "result": node.answer(request["method"], request.get("params") or {}),
        }
    except Refused as error:
        return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": error.code, "message": str(error)}}
    except (TypeError, ValueError) as error:
        return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32602, "message": f"invalid params: {error}"}}


def make_app(node: FakeNode) -> Starlette:
    async def get_file(request: Request) -> Response:
        file = load_static_files().get(request.url.path)
        if file is None:
            return Response("not found", 404, SECURITY_HEADERS)
        headers = {**SECURITY_HEADERS, "Cache-Control": "no-cache", "ETag": file.etag, "Content-Type": file.media_type}
        return Response(file.body, headers=headers)

    async def post(request: Request) -> Response:
        body = await request.json()
        if isinstance(body, list):
            return JSONResponse([answer_one(node, call) for call in body])
        return JSONResponse(answer_one(node, body))

    async def connect(websocket: WebSocket) -> None:
        if node.refuse_sockets:
            await websocket.close(1013)
        else:
            await Connection(node, websocket).run()

    return Starlette(
        routes=[
            Route("/", get_file, methods=["GET"]),
            Route("/", post, methods=["POST"]),
            Route("/explorer/{name}", get_file, methods=["GET"]),
            WebSocketRoute("/", connect),
        ]
    )


@contextmanager
def serve(node: FakeNode) -> Iterator[str]:
    """Serve a node on a free port of loopback; the address of its page."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        make_app(node), log_level="error", lifespan="off", timeout_graceful_shutdown=1, ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fake node")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
