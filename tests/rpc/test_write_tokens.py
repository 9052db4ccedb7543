"""Bearer tokens: who has none reads, and hands in nothing, by whatever way."""

import http.client
import json
from contextlib import closing

import msgspec
import pytest
from websockets.sync.client import connect

import hostile_methods
from hostile_rollup import Count, app
from kernel_fixtures import make_key
from microrollup.cli import main
from microrollup.client import SyncClient, Unauthorized
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import UsageError
from microrollup.rpc.access import Access
from microrollup.rpc.write_tokens import WriteTokens, read_token, read_write_tokens
from microrollup.testing.signing import sign_action
from node_fixtures import Site

OLD, NEW = "old-token-0123456789", "new-token-0123456789=="
ALICE = make_key("alice")
UNAUTHORIZED = -32008


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"), "hostile_rollup")
    with site.serve(access=Access(tokens=WriteTokens([OLD, NEW]))) as caller:
        yield caller


def sign(client, name="alice"):
    key = make_key(name)
    return sign_action(app, Count(7), client.get_nonce(compute_address(key)), key)


def encode(method, **params):
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": f"rollup_{method}", "params": params})


def send(caller, body, *authorization):
    """Status, challenge and answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", caller.port, timeout=60)) as connection:
        connection.putrequest("POST", "/")
        for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]:
            connection.putheader(name, value)
        for value in authorization:
            connection.putheader("Authorization", value)
        connection.endheaders(body)
        response = connection.getresponse()
        raw = response.read()
    return response.status, response.getheader("WWW-Authenticate"), json.loads(raw) if raw else None


def test_every_way_in_needs_a_token(caller):
    """Each method that takes actions, one of the app's own that does among them, in a batch and as a notification."""
    with SyncClient(caller.url, app) as client:
        line = sign(client)
        before = client.get_nonce(compute_address(ALICE))
        bodies = [
            encode("submitAction", action=msgspec.Raw(line)),
            encode("submitAction", action="nonsense"),  # the token comes first
            encode("submitActions", actions=[msgspec.Raw(line)]),
            encode("submitEnvelope", name="any", raw="0x00"),
        ]
        for body in bodies:
            status, challenge, answer = send(caller, body)
            assert (401, 'Bearer realm="microrollup"', UNAUTHORIZED) == (status, challenge, answer["error"]["code"])
        batch = b"[" + encode("height") + b"," + bodies[0] + b"]"
        status, _, (height, refused) = send(caller, batch)
        assert (401, True, UNAUTHORIZED) == (status, "result" in height, refused["error"]["code"])
        notification = msgspec.json.encode(
            {"jsonrpc": "2.0", "method": "rollup_submitAction", "params": [json.loads(line)]}
        )
        assert (401, None) == send(caller, notification)[::2]
        with pytest.raises(Unauthorized):
            client.call_method(hostile_methods.count_now, line)
        with pytest.raises(Unauthorized):
            client.submit(Count(1), ALICE)
        assert before == client.get_nonce(compute_address(ALICE))


@pytest.mark.parametrize(
    "authorization",
    [
        ["Bearer wrong-token-01234567"], [f"Bearer {NEW[:-1]}"], [f"Bearer {NEW}x"], [f"Basic {NEW}"], [NEW],
        ["Bearer"], ["Bearer "], [""], [f"Bearer {OLD},{NEW}"], [f"Bearer {NEW}", f"Bearer {NEW}"], ["Bearer \xff\xfe"],
        [f"Bearer wrong, Bearer {NEW}"],
    ],
)  # fmt: skip
def test_other_tokens_are_none(caller, authorization):
    """A token to the letter, in one header of its scheme; the answer says that what came is not one."""
    status, challenge, answer = send(caller, encode("submitActions", actions=[]), *authorization)
    assert (401, 'Bearer realm="microrollup", error="invalid_token"') == (status, challenge)
    assert UNAUTHORIZED == answer["error"]["code"]
    assert (200, None) == send(caller, encode("height"), *authorization)[:2]


@pytest.mark.parametrize("authorization", [f"Bearer {OLD}", f"bearer {NEW}", f"Bearer  {NEW} "])
def test_each_token_holds(caller, authorization):
    """The old one beside the new one, so that services can be told one after the other."""
    assert (200, None, []) == (*send(caller, encode("submitActions", actions=[]), authorization)[:2], [])


def test_clients_send_one(caller, tmp_path, capsys):
    """The library and the command, which has it in a file."""
    with SyncClient(caller.url, app, token=NEW) as client:
        assert 0 == client.submit(Count(7), ALICE).receipt.status
        assert "executed" == client.call_method(hostile_methods.count_now, sign(client)).status
        line = sign(client)
    (tmp_path / "line.jsonl").write_bytes(line + b"\n")
    (tmp_path / "token").write_text(f"# services\n\n{NEW}\n{OLD}\n")
    arguments = ["submit", caller.url, str(tmp_path / "line.jsonl")]
    assert 1 == main([*arguments, "--json"])
    (refusal,) = json.loads(capsys.readouterr().out)["refusals"]  # nothing was taken, so nothing is unknown
    assert "-32008" == refusal["error"]
    assert "--token-file" in refusal["detail"]
    assert 0 == main([*arguments, "--token-file", str(tmp_path / "token")])
    with pytest.raises(UsageError, match="the token is not"):
        SyncClient(caller.url, token="a\r\nX-Other: b")  # noqa: S106  # no secret


def test_sockets_have_it_from_the_beginning(caller):
    """Over a WebSocket the token comes with the request that opens it; without it one reads."""
    url = f"ws://127.0.0.1:{caller.port}/"
    for headers, code in (({}, UNAUTHORIZED), ({"Authorization": f"Bearer {NEW}"}, None)):
        with connect(url, additional_headers=headers) as socket:
            socket.send(encode("submitActions", actions=[]))
            assert code == json.loads(socket.recv(timeout=60)).get("error", {}).get("code")
            socket.send(encode("height"))
            assert "result" in json.loads(socket.recv(timeout=60))


def test_files_of_tokens(tmp_path):
    """One on a line; what a header cannot carry, what is short, none and too many are refused without being shown."""
    path = tmp_path / "tokens"
    path.write_bytes(b"# old\r\n" + OLD.encode() + b"\r\n\r\n  " + NEW.encode() + b"\n")
    assert OLD == read_token(path)
    assert read_write_tokens(path).admit([f"Bearer {NEW}"])
    many = b"".join([b"%020d\n" % number for number in range(17)])
    wrong = (b"", b"# none\n", b"short\n", b"has a blank 0123456789\n", b"\xe9" * 20, b"a" * 257, many)
    for raw in (*wrong, b"b" * 16 + b"\n" * 17_000):
        path.write_bytes(raw)
        with pytest.raises(UsageError, match="token") as refused:
            read_write_tokens(path)
        assert len(str(refused.value)) < len(str(path)) + 100
