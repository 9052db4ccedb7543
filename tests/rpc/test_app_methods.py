"""Methods of an app's own: served beside the node's, documented and typed, and what they raise is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import hostile_methods as methods
from hostile_rollup import Count, app
from kernel_fixtures import make_key
from microrollup.client import ActionRefused, NotFound, QueryFailed, RpcError, SyncClient
from microrollup.crypto.ecdsa import compute_address
from microrollup.declaration.query import describe_method, load_methods
from microrollup.errors import DeclarationError, UsageError
from microrollup.rpc.method import PlainMethod
from microrollup.rpc.methods import make_methods
from microrollup.rpc.params import NoParams
from microrollup.testing.signing import sign_action
from node_fixtures import Caller, Site
from zoo import zoo

ALICE = make_key("alice")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with Site(tmp_path_factory.mktemp("methods"), "hostile_rollup").serve() as caller:
        yield caller


@pytest.fixture
def client(served: Caller) -> Iterator[SyncClient]:
    with SyncClient(served.url, app) as client:
        yield client


def test_a_method_submits_and_looks_up(client: SyncClient) -> None:
    """An action that a method takes is durable when the method goes on, and everything can be asked about it."""
    nonce = client.call_method(methods.next_nonce, compute_address(ALICE))
    line = sign_action(app, Count(7), nonce, ALICE)
    counted = client.call_method(methods.count_now, line)
    assert ("executed", nonce) == (counted.status, counted.seq)
    assert counted.level in ("C0", "C1", "C2")
    assert nonce + 1 == client.call_method(methods.next_nonce, who=compute_address(ALICE))
    client.wait(counted.action_hash, "C1")
    height = client.get_height()
    assert [1, 1, 1, height] == client.call_method(methods.look, 7, height)
    assert [0, 0, 0, 0] == client.call_method(methods.look, 7, height=0)
    assert counted.seq == client.call_method(methods.count_now, line).seq
    with pytest.raises(ActionRefused) as refused:
        client.call_method(methods.count_now, sign_action(app, Count(8), nonce, ALICE))
    assert "nonce_used" == refused.value.refusal


def test_what_they_raise(client: SyncClient) -> None:
    """Errors of the node are answered as by its own methods; a rejection and a wrong type say so; a fault does not."""
    with pytest.raises(NotFound):
        client.call_method(methods.too_far)
    for method, code in ((methods.unsure, "rejected"), (methods.lies, "mistyped")):
        with pytest.raises(QueryFailed) as failed:
            client.call_method(method)
        assert code == failed.value.reason
    with pytest.raises(RpcError) as fault:
        client.call_method(methods.breaks)
    assert (-32603, "internal error") == (fault.value.code, fault.value.message)
    with pytest.raises(RpcError) as wrong:
        client.call("hostile_nextNonce", who="0x12")
    assert -32602 == wrong.value.code


def test_they_are_in_the_document(served: Caller) -> None:
    """OpenRPC has them beside the queries, with their params and answers."""
    document = json.loads(served.get("/openrpc.json")[1])
    found = {each["name"]: each for each in document["methods"]}
    assert [("number", True), ("height", True)] == [
        (each["name"], each["required"]) for each in found["hostile_look"]["params"]
    ]
    assert "#/components/schemas/Counted" == found["hostile_countNow"]["result"]["schema"]["$ref"]
    assert {"actionHash", "seq", "status", "total", "level"} == set(
        document["components"]["schemas"]["Counted"]["properties"]
    )


def test_what_cannot_be_a_method() -> None:
    """A name that is taken, a function without a NodeView, and an app without methods."""
    plain: Any = PlainMethod("rollup_x", "x", NoParams, bool, lambda *_: True)
    for taken in (plain, msgspec.structs.replace(plain, name="rpc.x")):
        with pytest.raises(UsageError):
            make_methods([taken])
    with pytest.raises(DeclarationError, match="annotated NodeView"):
        describe_method(sign_action)
    assert load_methods(zoo) is None
    loaded = load_methods(app)
    assert loaded is not None
    assert {"countNow", "look", "nextNonce", "tooFar", "unsure", "breaks", "lies", "stall"} == set(loaded.methods)
