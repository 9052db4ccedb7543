"""L1 providers as they are: limits in every form, words of their own, methods that are missing, members that are null.

Each persona stands before a real node. An inbox is created through it, batches are settled, an action is forced, and a
stranger who only reads has the same batches; or what cannot work is named by its true cause.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from ethereum_harness import pass_blocks
from ethereum_site import make_site, settle, settle_next
from l1_double import FEE_METHODS, STATUSES, FakeTime, L1Double, Persona, draw_personas
from l1_fixtures import Anvil
from microrollup.settlement.errors import HeightGap
from microrollup.settlement.ethereum.errors import L1Denied, L1Error, L1Refused, L1Throttled, L1TimedOut, L1WithoutBlobs
from microrollup.testing.settlement_harness import BUILDER, OWNER, extend, propose

PERSONAS = draw_personas(14, seed=10)


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return FakeTime(monkeypatch)


@pytest.mark.parametrize("persona", PERSONAS, ids=range(len(PERSONAS)))
def test_personas(anvil: Anvil, fake_time: FakeTime, persona: Persona) -> None:
    """Whatever a provider limits and however it says so: created, settled, forced and read back, each once."""
    double = L1Double(anvil.url, persona)
    with make_site(anvil, double, da="calldata", headers=("X-Key: 0123456789",)) as site:
        pass_blocks(anvil, 60)
        inbox = site.open()
        first = propose(inbox, extend(inbox))
        assert 1 == settle(inbox, first).height
        assert 0 == inbox.force(b"payload", sender=OWNER)
        assert 2 == settle_next(inbox, l1_origin=inbox.get_settled().l1_origin).height
        reader = site.open()
        settled = reader.get_settled_at(1)
        assert settled is not None
        assert (first.batch, 2, 1) == (settled.batch, reader.get_settled().height, reader.get_forced_count(1 << 40))
        with pytest.raises(HeightGap):
            settle(inbox, first)
        assert (2, 2) == (site.count_settled(), site.count_nonces())
        assert {"batch", "items"} & set(double.refusals)


def test_blobs_without_fee_methods(anvil: Anvil, fake_time: FakeTime) -> None:
    """Where no method tells the price of blob gas it is computed from the header; blobs settle and are read."""
    double = L1Double(anvil.url, Persona(status=400, missing=FEE_METHODS, max_batch=1, writes_nulls=True))
    with make_site(anvil, double) as site:
        inbox = site.open()
        assert 1 == settle_next(inbox).height
        assert site.open().get_settled_at(1) is not None


def test_chain_without_blobs(anvil: Anvil) -> None:
    """A chain that has none says so, and what to do: before anything is sent."""
    with make_site(anvil, L1Double(anvil.url, Persona(missing=FEE_METHODS))) as site:
        inbox = site.open()
        site.proxy.rewrite["eth_getBlockByNumber"] = lambda _, block: {
            name: value for name, value in block.items() if "lob" not in name
        }
        with pytest.raises(L1WithoutBlobs, match="--da calldata"):
            settle_next(inbox)
        assert {} == site.list_pool()


# Batches.


@pytest.mark.parametrize(
    ("max_batch", "form"),
    [(1, "object"), (2, "list"), (2, "none"), (3, "each"), (3, "text"), (20, "html"), (20, "none"), (20, "object")],
)
def test_smaller_batches(anvil: Anvil, fake_time: FakeTime, max_batch: int, form: Any) -> None:
    """A provider that takes few requests at once gets as many, and is not asked for more all the time."""
    double = L1Double(anvil.url, Persona(status=403, max_batch=max_batch, batch_form=form))
    with make_site(anvil, double, da="calldata") as site, capture_logs() as logs:
        site.anvil.mine(40)
        inbox = site.open()
        refused = double.refusals.count("batch")
        assert 1 <= refused <= (12 if form == "none" else 6)
        for _ in range(5):
            site.anvil.mine(3)
            inbox.get_number()
        assert double.refusals.count("batch") <= refused + (2 if form == "none" else 1)
        told = [entry["reason"] for entry in logs if entry["event"] == "l1_smaller_batch"]
        assert form in {"none", "list"} or all("batch of more than" in reason for reason in told)


def test_batches_grow_again(anvil: Anvil, fake_time: FakeTime) -> None:
    """After a while a larger batch is tried, so that a moment's refusal is not for ever."""
    double = L1Double(anvil.url, Persona(max_batch=1))
    with make_site(anvil, double, da="calldata") as site:
        inbox = site.open()
        assert 1 == inbox._transport._batch.size
        double.persona = Persona()
        for _ in range(70):
            site.anvil.mine()
            inbox.get_number()
        assert 4 <= inbox._transport._batch.size


# Ranges.


@pytest.mark.parametrize(
    ("form", "status"), [("object", 200), ("object", 400), ("text", 413), ("html", 504), ("text", 403)]
)
def test_smaller_ranges(anvil: Anvil, fake_time: FakeTime, form: Any, status: int) -> None:
    """A provider that limits ranges gets smaller ones, whatever the status; nothing is asked for twice at one size."""
    double = L1Double(anvil.url, Persona(status=status, max_range=10, range_form=form))
    with make_site(anvil, double, da="calldata") as site:
        settle_next(site.open())
        pass_blocks(anvil, 100)
        before = double.seen["eth_getLogs"], len(double.refusals)
        assert 1 == site.open().get_settled().height
        assert len(double.refusals) - before[1] <= 8
        assert double.seen["eth_getLogs"] - before[0] <= 40
        assert [] == fake_time.pauses


def test_ranges_that_take_too_long(anvil: Anvil, fake_time: FakeTime) -> None:
    """A time-out halves the range too: the same again would take as long."""
    double = L1Double(anvil.url, Persona())
    with make_site(anvil, double, da="calldata") as site:
        settle_next(site.open())
        pass_blocks(anvil, 100)
        wide = double._is_too_wide

        def dawdle(call: dict[str, Any]) -> bool:
            if wide(call):
                asyncio.run(asyncio.sleep(1.5))
            return False

        double._is_too_wide = dawdle  # type: ignore[method-assign]
        double.persona = Persona(max_range=60)
        assert 1 == site.open(timeout_seconds=1.0).get_settled().height


# Rates.


@pytest.mark.parametrize(
    ("form", "status", "words", "retry_after", "pause"),
    [
        ("object", 200, "Your app has exceeded its compute units per second capacity", None, 1.0),
        ("object", 429, "Too Many Requests", "7", 7.0),
        ("text", 429, "slow down", "3", 3.0),
        ("object", 403, "rate limit exceeded, retry in 10s", None, 10.0),
        ("object", 400, "50/second request limit reached", None, 1.0),
        ("object", 200, "daily request count exceeded, request rate limited", None, 1.0),
        ("html", 429, "Too many requests", None, 1.0),
    ],
)
def test_pauses(
    anvil: Anvil, fake_time: FakeTime, form: Any, status: int, words: str, retry_after: str | None, pause: float
) -> None:
    """Who is asked too often is left alone for as long as it says, and no range is halved for it."""
    persona = Persona(
        max_batch=1, throttle_every=9, throttle_form=form, throttle_status=status, throttle_words=words,
        retry_after=retry_after,
    )  # fmt: skip
    double = L1Double(anvil.url, persona)
    with make_site(anvil, double, da="calldata") as site, capture_logs() as logs:
        assert 1 == settle_next(site.open()).height
        assert 1 == site.open().get_settled().height
    assert double.refusals.count("throttle") >= 3
    assert {pause} == {round(seconds, 6) for seconds in fake_time.pauses}
    assert "l1_smaller_range" not in {entry["event"] for entry in logs}
    assert "l1_throttled" in {entry["event"] for entry in logs}


def test_sending_is_throttled(anvil: Anvil, fake_time: FakeTime) -> None:
    """A transaction that the provider takes no more requests for is sent after a pause, and settled once."""
    double = L1Double(anvil.url, Persona())
    with make_site(anvil, double, da="calldata") as site:
        double.throttle_next["eth_sendRawTransaction"] = 3
        assert 1 == settle_next(site.open()).height
        assert [1.0, 2.0, 4.0] == fake_time.pauses
        assert (1, 1) == (site.count_settled(), site.count_nonces())


def test_patience_ends(anvil: Anvil, fake_time: FakeTime) -> None:
    """A provider that asks for an hour is not waited for, and not asked until then: the error says when to try."""
    double = L1Double(anvil.url, Persona())
    with make_site(anvil, double, da="calldata") as site:
        inbox = site.open()
        number = inbox.get_number()
        double.persona = Persona(throttle_every=0, throttle_form="text", throttle_status=429, retry_after="3600")
        site.anvil.mine()
        with capture_logs() as logs:
            assert number == inbox.get_number()
        assert ["l1_throttled", "l1_not_followed"] == [entry["event"] for entry in logs]
        asked = len(double.refusals)
        with pytest.raises(L1Throttled, match=r"asked too often \(.*compute units.*in 3600 s"):
            inbox.force(b"", sender=BUILDER)
        assert asked == len(double.refusals)
        fake_time.now += 3600
        double.persona = Persona()
        assert number + 1 == inbox.get_number()


# True causes.


@pytest.mark.parametrize("status", [401, 403, 404, 413])
def test_refused_by_the_server(anvil: Anvil, status: int) -> None:
    """A server that takes no request at all is told with its status and words, and without the key that it repeats."""
    key = "8c1d35ff0c7d4c0e"
    with make_site(anvil, L1Double(anvil.url, Persona()), da="calldata") as site:
        words = f"project {key} is not known"
        site.proxy.persona = Persona(  # type: ignore[attr-defined]
            throttle_every=0, throttle_form="text", throttle_status=status, throttle_words=words
        )
        with pytest.raises(L1Denied) as caught:
            site.open(url=f"{site.proxy.url}/v3/{key}")
    assert f"HTTP {status}" in str(caught.value)
    assert "project *** is not known" in str(caught.value)
    assert key not in str(caught.value)
    assert (status in {401, 403}) == ("--l1-header" in str(caught.value))


def test_headers(anvil: Anvil) -> None:
    """A provider's header is sent with each request, and to nobody else; without it the error says so."""
    double = L1Double(anvil.url, Persona(header=("Authorization", "Bearer 0123456789abcdef")))
    with make_site(anvil, double, da="calldata", headers=("Authorization: Bearer 0123456789abcdef",)) as site:
        assert 1 == settle_next(site.open()).height
        assert [] == double.refusals
        with pytest.raises(L1Denied, match="--l1-header"):
            site.open(headers=())
        with pytest.raises(L1Denied) as caught:
            site.open(headers=("Authorization: Bearer another-0123456789",))
    assert "another" not in str(caught.value)


@pytest.mark.parametrize("status", STATUSES)
def test_refusals_of_methods_keep_their_cause(anvil: Anvil, fake_time: FakeTime, status: int) -> None:
    """A JSON-RPC error is one whatever the status: a revert is the inbox's rule, a missing method is named."""
    double = L1Double(anvil.url, Persona())
    with make_site(anvil, double, da="calldata") as site:
        inbox = site.open()
        settle_next(inbox)
        double.persona = Persona(status=status)
        with pytest.raises(HeightGap):
            settle_next(inbox, height=1)
        double.persona = Persona(status=status, missing=frozenset({"eth_getTransactionByHash"}))
        with pytest.raises(L1Refused, match="eth_getTransactionByHash does not exist"):
            site.open().get_settled_at(1)
        double.persona = Persona(status=status, missing=frozenset({"eth_getCode"}))
        with pytest.raises(L1Refused, match="eth_getCode does not exist"):
            site.open()


def test_busy(anvil: Anvil, fake_time: FakeTime) -> None:
    """A gateway that answers for a node that is not there is tried again; in the end its words are told."""
    double = L1Double(anvil.url, Persona())
    with make_site(anvil, double, da="calldata", retries=3) as site:
        inbox = site.open()
        for status in (500, 502, 503):
            double.persona = Persona(
                throttle_every=0, throttle_form="text", throttle_status=status, throttle_words="no backend"
            )
            fake_time.pauses.clear()
            with pytest.raises(L1Error, match=rf"HTTP {status} .*: no backend"):
                inbox.force(b"", sender=BUILDER)
            assert [0.125, 0.25] == fake_time.pauses
        double.persona = Persona(throttle_every=0, throttle_form="text", throttle_status=504, throttle_words="late")
        with pytest.raises(L1TimedOut, match="late"):
            inbox.force(b"", sender=BUILDER)


# Sources of blobs.
