"""What nodes' replies mean, without a node: each HTTP status with each body, and the words of providers."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microrollup.errors import UsageError
from microrollup.settlement.ethereum.answers import parse_block, parse_logs, parse_receipt, parse_transaction
from microrollup.settlement.ethereum.blob_fee import compute_blob_fee
from microrollup.settlement.ethereum.errors import (
    L1BadAnswer,
    L1Denied,
    L1Error,
    L1Refused,
    L1Throttled,
    L1TimedOut,
    L1Unreachable,
)
from microrollup.settlement.ethereum.headers import read_header, split_headers
from microrollup.settlement.ethereum.http import (
    NoReplyError,
    Reply,
    add_path,
    exchange,
    find_secrets,
    hide_secrets,
    make_client,
)
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.pace import AdaptiveSize, Patience
from microrollup.settlement.ethereum.replies import AgainError, find_batch_refusal, read_batch, read_reply
from resolver import NAME, hang_lookups

PLACE = "https://l1.example"
STATUSES = (200, 201, 301, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504, 520)


def make_reply(status: int, body: Any, **members: Any) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, "", raw, **members)


def make_error(code: int, message: str, **members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, **members}}


def catch(method: str, reply: Reply) -> tuple[L1Error, str]:
    """The error in the end, and why another try may help (or "final")."""
    try:
        read_reply(PLACE, method, reply)
    except AgainError as again:
        return again.error, again.cause
    except L1Error as error:
        return error, "final"
    raise AssertionError(reply)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("code", "message", "data", "reverted"),
    [
        (3, "execution reverted", "0x08c379a0", "08c379a0"),
        (-32000, "execution reverted", None, ""),
        (-32015, "VM execution error.", "Reverted 0x7a933234", "7a933234"),
        (-32603, "Internal error", {"message": "reverted", "txHash": "0x", "data": "0x256d9840"}, "256d9840"),
        (-32603, "Error", {"message": "x", "data": {"data": "0xb427cbbb"}}, "b427cbbb"),
        (3, "execution reverted", "0x", ""),
        (3, "revert", "0x7a933234" + "00" * 32, "7a933234" + "00" * 32),  # EthereumJS
        (-32000, "Execution reverted", "0x7a933234", "7a933234"),  # Besu
        (-32000, "Execution reverted (0x7a933234)", None, "7a933234"),
        (3, "execution reverted: custom error 0x7a933234: " + "00" * 32, "0x7a933234", "7a933234"),  # anvil
        (-32603, "reverted with an unrecognized custom error (return data: 0x7a933234)", {}, "7a933234"),  # Hardhat
        (-32000, "VM Exception: revert", {"0x" + "ab" * 32: {"error": "revert", "return": "0x7a933234"}}, "7a933234"),
        (-32000, "VM Exception: revert", {"hash": "0x12", "result": "0x7a933234", "reason": ""}, "7a933234"),  # Ganache
        (-32603, "relayed", {"originalError": {"code": 3, "data": "0x7a933234"}}, "7a933234"),  # wallets' relays
        (-32603, "reverted", {"data": {"data": {"data": {"data": {"data": "0x7a933234"}}}}}, ""),  # too deep
        (-32000, "execution reverted: 0x" + "7a" * 20, None, ""),  # an address is not what it reverted with
        (3, "execution reverted", {"data": None}, ""),
        (3, "execution reverted", ["0x7a933234"], ""),
        (3, "execution reverted", "0x7a93323", ""),
    ],
)
def test_reverts(status: int, code: int, message: str, data: Any, reverted: str) -> None:
    """What a call reverted with is found wherever a node puts it, whatever the HTTP status; it is final."""
    error, cause = catch("eth_call", make_reply(status, make_error(code, message, data=data)))
    assert isinstance(error, L1Refused)
    assert (bytes.fromhex(reverted), "final") == (error.data, cause)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("code", "message"), [(-32601, "the method does not exist"), (-32602, "missing value")])
def test_wrong_requests(status: int, code: int, message: str) -> None:
    """A request that is wrong does not get better by waiting, whatever the HTTP status."""
    error, cause = catch("eth_config", make_reply(status, make_error(code, message)))
    assert isinstance(error, L1Refused)
    assert (code, message, None, "final") == (error.code, error.message, error.data, cause)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32005, "query returned more than 10000 results"),
        (-32005, "limit exceeded"),
        (-32000, "exceed maximum block range: 5000"),
        (
            -32602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
        ),
        (-32600, "eth_getLogs is limited to a 10,000 range, upgrade from free tier"),
        (-32602, "query exceeds max results 20000, retry with the range 24383075-24383096"),
        (-32001, "block range extends beyond current head block"),
    ],
)
def test_limits_of_logs(status: int, code: int, message: str) -> None:
    """A limit of `eth_getLogs` is not a rate: whoever asks it asks for less, at once or after a gateway's pause."""
    error, cause = catch("eth_getLogs", make_reply(status, make_error(code, message)))
    if (status, message) == (429, "limit exceeded"):  # nothing but the status says which limit
        assert "throttled" == cause
        return
    assert isinstance(error, L1Refused)
    assert message == error.message
    assert cause in {"final", "busy", "slow"}


@pytest.mark.parametrize("method", ["eth_getLogs", "eth_call", "eth_sendRawTransaction"])
@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
@pytest.mark.parametrize(
    ("code", "message", "data", "pause"),
    [
        (429, "Your app has exceeded its compute units per second capacity.", None, None),
        (-32600, "Monthly capacity limit exceeded. Visit your dashboard", None, None),
        (-32005, "daily request count exceeded, request rate limited", {"rate": {"backoff_seconds": 30.0}}, 30.0),
        (-32007, "50/second request limit reached", None, None),
        (-32016, "over rate limit", None, None),
        (-32090, "Too many requests, reason: call rate limit exhausted, retry in 10s", None, 10.0),
        (-32000, "rate limited, try again in 500ms", None, 0.5),
    ],
)
def test_rates(method: str, status: int, code: int, message: str, data: Any, pause: float | None) -> None:
    """Who is asked too often says so in many ways; a pause that it names is found, and a header counts more."""
    body = make_error(code, message, data=data)
    error, cause = catch(method, make_reply(status, body))
    assert isinstance(error, L1Throttled)
    assert ("throttled", pause) == (cause, error.retry_after)
    assert message[:20] in str(error)
    told, _ = catch(method, make_reply(status, body, retry_after=4.0))
    assert isinstance(told, L1Throttled)
    assert 4.0 == told.retry_after


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (301, L1Denied, "final"), (400, L1Denied, "final"), (401, L1Denied, "final"), (403, L1Denied, "final"),
        (404, L1Denied, "final"), (413, L1Denied, "final"), (408, L1TimedOut, "slow"), (504, L1TimedOut, "slow"),
        (429, L1Throttled, "throttled"), (500, L1Unreachable, "busy"), (502, L1Unreachable, "busy"),
        (503, L1Unreachable, "busy"), (520, L1Unreachable, "busy"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [
        b"those are the words",
        {"message": "those are the words"},
        {"error": "those are the words"},
        b"<html><head><title>those are the words</title></head><body>404</body></html>",
    ],
)
def test_words_of_servers(status: int, kind: type[L1Error], cause: str, body: Any) -> None:
    """A body that is not JSON-RPC is read for its words, and the status says what may help."""
    error, found = catch("eth_chainId", make_reply(status, body))
    assert (kind, cause) == (type(error), found)
    assert f"HTTP {status}" in str(error)
    assert "those are the words" in str(error)


def test_results_count_whatever_the_status() -> None:
    """A result is one, also beside an error that is null."""
    for status in STATUSES:
        assert "0x1" == read_reply(PLACE, "eth_chainId", make_reply(status, {"id": 1, "result": "0x1", "error": None}))
        assert None is read_reply(PLACE, "eth_chainId", make_reply(status, {"id": 1, "result": None}))


def test_a_moved_server_is_named() -> None:
    """A redirect is told with its place, not followed with a key in hand."""
    error, _ = catch("eth_chainId", make_reply(301, b"", location="https://new.example"))
    assert "see https://new.example" in str(error)


@given(st.integers(200, 599), st.binary(max_size=200))
def test_any_reply_is_an_error_of_ours(status: int, body: bytes) -> None:
    """Whatever comes, there is a result or an error of this module's."""
    for reader in (read_reply, read_batch):
        try:
            reader(PLACE, "eth_call", make_reply(status, body))
        except (AgainError, L1Error):
            continue


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["error", "result", "code", "message", "data", "id", "rate"]), inner)
        ),
    )
)
def test_any_json_is_an_error_of_ours(body: Any) -> None:
    """Nor does any JSON in place of an answer raise anything else."""
    for status in (200, 429, 500):
        for reader in (read_reply, read_batch):
            try:
                answers = reader(PLACE, "eth_call", make_reply(status, body))
            except (AgainError, L1Error):
                continue
            if reader is read_batch and isinstance(answers, list):
                assert find_batch_refusal(answers, {"1"}) is None or answers != [{"id": 1, "result": None}]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([{"id": 1, "result": 1}, {"id": 2, "result": 2}], None),
        ([{"id": 2, "result": 1}, {"id": 1, "error": {"code": 3, "message": "execution reverted"}}], None),
        ([{"id": 1, "result": 1}], "not one answer per request"),
        ([{"id": 1, "result": 1}, {"id": 1, "result": 1}], "not one answer per request"),
        ([{"id": None, "error": {"code": -32600, "message": "batch too large"}}], "batch too large"),
        ([{"id": 1, "result": 1}, {"id": 2, "error": {"message": "Batch size: at most 1"}}], "Batch size"),
        ([1, 2], "not one answer per request"),
        ([], "not one answer per request"),
    ],
)  # fmt: skip
def test_batches(answers: list[Any], words: str | None) -> None:
    """A list is a batch's answers if each request has one, in any order, and none speaks of the batch itself."""
    found = find_batch_refusal(answers, {"1", "2"})
    assert words is None if found is None else words is not None and words in found


# Null members.


NULLS: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "block": (
        parse_block,
        {"number": "0x1", "hash": "0x" + "ab" * 32, "parentHash": "0x" + "cd" * 32, "timestamp": "0x5"},
        ["baseFeePerGas", "withdrawals"],
    ),
    "receipt": (
        lambda answer: parse_receipt(answer, b"\xab" * 32),
        {"transactionHash": "0x" + "ab" * 32, "status": "0x1", "blockNumber": "0x1", "gasUsed": "0x1"},
        ["contractAddress", "blobGasUsed", "logs", "to"],
    ),
    "transaction": (
        lambda answer: parse_transaction(answer, b"\xab" * 32),
        {"hash": "0x" + "ab" * 32, "input": "0x", "from": "0x" + "11" * 20},
        ["to", "blockNumber", "blobVersionedHashes", "accessList"],
    ),
    "logs": (
        lambda answer: parse_logs([answer], b"\x11" * 20, 0, 9),
        {
            "address": "0x" + "11" * 20, "topics": [], "data": "0x", "blockNumber": "0x1", "logIndex": "0x0",
            "blockHash": "0x" + "ab" * 32, "transactionHash": "0x" + "ab" * 32,
        },
        ["removed", "blockTimestamp"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NULLS)
def test_null_is_absent(what: str) -> None:
    """An optional member that is null is one that is not there; one that is needed must not be null."""
    parse, answer, optional = NULLS[what]
    whole = parse(answer)
    assert whole == parse(answer | dict.fromkeys(optional))
    for name in answer:
        with pytest.raises(L1BadAnswer):
            parse(answer | {name: None})
    if what == "receipt":
        log = NULLS["logs"][1]
        assert 1 == len(parse(answer | {"logs": [log | {"removed": None}]}).logs)


# Patience and sizes.


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\uDFFF"', b'{"\\ud800\\ud800": 1}'])
def test_half_a_character_is_no_json(text: bytes) -> None:
    """Python reads it, and nothing can be done with it afterwards; a pair is a character."""
    found, cause = catch("eth_call", make_reply(200, b'{"jsonrpc":"2.0","id":1,"result":' + text + b"}"))
    assert (L1BadAnswer, "final") == (type(found), cause)
    whole = b'{"jsonrpc":"2.0","id":1,"result":"\\ud83d\\ude00"}'
    assert "\U0001f600" == read_reply(PLACE, "eth_call", make_reply(200, whole))


def test_patience() -> None:
    """Busy nodes get so many tries with doubling pauses, throttling ones so much time, in all."""
    options = EthereumOptions("http://l1", retries=3, patience_seconds=10)
    patience = Patience(options)
    busy, throttled = (AgainError(L1Error(), cause) for cause in ("busy", "throttled"))  # type: ignore[arg-type]
    assert [0.125, 0.25, None] == [patience.find_pause(busy) for _ in range(3)]
    patience = Patience(options)
    assert [1.0, 2.0, 4.0, None] == [patience.find_pause(throttled) for _ in range(4)]
    assert 3.0 == Patience(options).find_pause(AgainError(L1Error(), "busy", 3.0))
    assert None is Patience(options).find_pause(AgainError(L1Error(), "throttled", 11.0))


def test_sizes() -> None:
    """A size halves when refused, down to one; after a while it doubles, and less often where that was refused."""
    size = AdaptiveSize(64, every=3)
    for refused in (64, 32, 16, 8, 4, 2, 1):
        size.shrink(refused)
    assert 1 == size.size

    def count_until_growth() -> int:
        before, count = size.size, 0
        while size.size == before:
            size.note(size.size)
            count += 1
        return count

    assert (3, 2) == (count_until_growth(), size.size)
    size.shrink(2)
    assert (6, 2) == (count_until_growth(), size.size)
    size.note(1)
    assert 6 == count_until_growth()
    for _ in range(200):
        size.note(size.size)
    assert 64 == size.size


# Headers and URLs.


@pytest.mark.parametrize("text", ["Authorization: Bearer abc.def-1=", "X-Api-Key:k", "a:  b c  "])
def test_headers_are_read(text: str) -> None:
    """A name and a value; blanks around the value are left out."""
    name, value = text.split(":", maxsplit=1)
    assert f"{name}: {value.strip()}" == read_header(text)
    assert {name.lower(): value.strip()} == split_headers([text])


@pytest.mark.parametrize(
    "text",
    [
        "", "secret", ": secret", "Na me: secret", "A: secret\r\nB: c", "A: sécret", "A:", "Host: secret",
        "A: \tsecret", "content-length: 5secret", "Transfer-Encoding: secret",
    ],
)  # fmt: skip
def test_headers_are_refused(text: str) -> None:
    """What would break the request, or make another of it; the value is not repeated."""
    with pytest.raises(UsageError) as caught:
        read_header(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "joined"),
    [
        ("http://a:1", "http://a:1/x?q=1"),
        ("http://a:1/", "http://a:1/x?q=1"),
        ("https://a/b/?key=K", "https://a/b/x?key=K&q=1"),
        ("https://me:pw@a/b", "https://me:pw@a/b/x?q=1"),
        ("https://a?key=K#part", "https://a/x?key=K&q=1"),
    ],
)
def test_paths_are_added_before_the_query(url: str, joined: str) -> None:
    """`--blobs URL?key=K` keeps its key."""
    assert joined == add_path(url, "/x", "q=1")
    assert joined.replace("&q=1", "").replace("?q=1", "") == add_path(url, "/x")


def test_secrets_are_hidden() -> None:
    """A server that repeats a key does not make us show it; short words of a path are no keys."""
    url = "https://me:password1@a.example/v3/0123456789?apikey=abcdef%2Bghij&x=mainnet"
    secrets = find_secrets(url, ("Authorization: Bearer token-1234",))
    body = b"v3 0123456789 abcdef+ghij password1 token-1234 mainnet Bearer"
    assert b"v3 *** *** *** *** mainnet Bearer" == hide_secrets(make_reply(401, body), secrets).body


# Blob fees.


@pytest.mark.parametrize(
    ("excess", "fraction", "fee"),
    [
        (0, 3338477, 1),
        (2314057, 3338477, 1),
        (2314058, 3338477, 2),
        (10 * 1024 * 1024, 3338477, 23),
        (50000000, 2225652, 5709098764),
    ],
)
def test_blob_fees(excess: int, fraction: int, fee: int) -> None:
    """As EIP-4844's `fake_exponential`, with the vectors of go-ethereum's tests; beyond all bounds it is an error."""
    assert fee == compute_blob_fee(excess, fraction)
    with pytest.raises(L1BadAnswer):
        compute_blob_fee(101 * fraction, fraction)


def test_a_name_that_is_not_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking it up is within the time of a request."""

    async def ask(released: threading.Event) -> None:
        async with make_client({}) as client:
            try:
                await exchange(client, f"http://{NAME}", b"", seconds=0.1, limit=1)
            finally:
                released.set()  # or the loop would wait for its thread

    with hang_lookups(monkeypatch) as resolver, pytest.raises(NoReplyError) as refused:
        asyncio.run(ask(resolver.released))
    assert refused.value.timed_out
