"""The client and the real node: what the double cannot show."""

import asyncio
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec
import pytest

from apps.keystore import app
from apps.keystore.transitions import Register, Registered
from kernel_fixtures import make_key
from microrollup.chain.block import compute_rollup_id
from microrollup.chain.receipt_proof import check_receipt_proof
from microrollup.client import (
    LEVELS,
    Client,
    ConfirmationTimeout,
    IntakeClosed,
    NotFound,
    OutcomeUnknown,
    RpcError,
    SyncClient,
    read_events,
)
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import UsageError, ValueOutOfBounds
from microrollup.node.options import NodeOptions
from microrollup.node.writer import WriterOptions
from microrollup.rpc.app import make_app
from microrollup.rpc.limits import RpcLimits
from microrollup.rpc.server import Server, bind
from microrollup.testing.passkey import Passkey
from node_fixtures import BUILDER_KEY, FAST, Site
from ports import find_port
from waiting import SECONDS

ALICE = make_key("alice")
SENDER = compute_address(ALICE)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, "apps.keystore")


@contextmanager
def serve_at(site: Site, port: int = 0, **options):
    """A node with its server at a port, which a later one can take over."""
    with site.open(**options) as node:
        server = Server(make_app(node, RpcLimits()), bind("127.0.0.1", port), RpcLimits())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.port
        finally:
            server.stop()
            thread.join(60)


def drive(site: Site, port: int, use, **options):
    """The result of `use(client)` with everything pinned that can be."""
    pins = {
        "rollup_id": compute_rollup_id(site.genesis),
        "builder": compute_address(BUILDER_KEY),
        "domain": site.genesis.domain,
    }

    async def run():
        async with Client(f"http://127.0.0.1:{port}", app, **pins, **{"timeout": 60.0, **options}) as client:
            return await asyncio.wait_for(use(client), SECONDS)

    return asyncio.run(run())


def make_register(number: int) -> Register:
    return Register(b"\x01" * 32, b"\x02" * 32, number.to_bytes(32, "big"))


def test_all_the_way_to_settled(site):
    """Submitted, waited for at every level, read, proven at a height, and proven offline."""

    async def use(client: Client):
        ack = await client.submit(make_register(0), ALICE)
        assert ack == await client.submit_signed(await get_line(client, ack.action_hash))
        for level in LEVELS:
            reached = await client.wait(ack, level)
            assert LEVELS.index(reached.level) >= LEVELS.index(level)
        for found in (await client.wait(ack.height, "C3B"), await client.get_confirmation(ack.action_hash)):
            assert (reached.level, reached.height) == (found.level, found.height) == ("C3B", ack.height)
        (event,) = read_events(ack.receipt, Registered)
        proven = await client.get_proof("accounts", event.key, height=ack.height)
        assert (True, SENDER) == (proven.exists, proven.stored.vk)
        assert not (await client.get_proof("accounts", event.key, height=0)).exists
        assert proven.stored == (await client.get_state("accounts", event.key)).value
        header = await client.get_header(ack.height)
        proof = await client.get_receipt_proof(ack.action_hash)
        assert (ack, header) == (proof.acknowledgement, proof.header)
        assert (
            ()
            == check_receipt_proof(
                proof, builder=compute_address(BUILDER_KEY), block_hash=proof.block_hash, domain=proof.domain
            ).unchecked
        )
        with pytest.raises(NotFound):
            await client.get_receipt_proof(bytes(32))
        with pytest.raises(NotFound):
            await client.get_confirmation(ack.height + 10)
        with pytest.raises(ConfirmationTimeout):
            await client.wait(ack.height + 10, "C1", timeout=0.1)

    with serve_at(site, verifiers=1) as port:
        drive(site, port, use)


def test_pages_of_a_map(tmp_path):
    """Entries come in order and once each, page by page at one height, with and without the app, and sync as async."""
    from zoo import zoo

    site = Site(tmp_path)

    async def use(client: Client, unaware: Client, url: str):
        lines = [site.line(*[("set_ticket", 10 * each + one, one) for one in range(10)]) for each in range(10)]
        acks = await client.submit_lines(lines)
        await client.wait(acks[-1], "C1")
        height = await client.get_height()
        wanted = [(key, key % 10) for key in range(100)]
        later = await client.submit_lines([site.line(("set_ticket", 7, 99), ("delete_ticket", 50, 0))])
        await client.wait(later[0], "C1")
        for plain in (unaware, client):
            assert wanted == [entry async for entry in plain.entries("tickets", height=height)]
            assert 99 == len([entry async for entry in plain.entries("tickets")])
            page = await plain.get_entries("tickets", limit=30, after=4, height=height)
            assert (wanted[5:35], 34, height) == (list(page.entries), page.next, page.height)
            last = await plain.get_entries("tickets", limit=3, after=3, height=height, reverse=True)
            assert ([(2, 2), (1, 1), (0, 0)], None) == (list(last.entries), last.next)
        await client.wait((await client.submit_lines([site.line(("set_note", 12, 7), ("set_note", 2, 8))]))[0], "C1")
        assert [(b"12", b"7")] == [entry async for entry in client.entries("notes", prefix=b"1")]
        with pytest.raises(UsageError):
            await client.get_entries("nothing")
        with pytest.raises(ValueOutOfBounds):
            await client.get_entries("tickets", after=-1)
        with pytest.raises(RpcError):
            await client.get_entries("tickets", limit=1001)
        await asyncio.to_thread(use_sync, url)

    def use_sync(url: str):
        with SyncClient(url, zoo) as client:
            assert 99 == len(list(client.entries("tickets")))
            assert 5 == len(client.get_entries("tickets", limit=5).entries)

    async def run(port: int):
        url = f"http://127.0.0.1:{port}"
        async with Client(url, zoo, timeout=60.0) as client, Client(url) as unaware:
            await asyncio.wait_for(use(client, unaware, url), 60)

    with serve_at(site) as port:
        asyncio.run(run(port))


async def get_line(client: Client, action_hash: bytes) -> bytes:
    """A logged action in its JSON form."""
    found = await client.call("getAction", hash=f"0x{action_hash.hex()}")
    return msgspec.json.encode({name: found[name] for name in ("type", "message", "signature")})


def test_many_senders_and_kinds_of_keys(site):
    """Concurrent actions of several senders, a passkey's among them, and a batch, are executed once each."""
    signers = [ALICE, make_key("bob"), Passkey(b"\x05" * 32)]

    async def use(client: Client):
        acks = await asyncio.gather(
            *[client.submit(make_register(number), signer) for signer in signers for number in range(30)]
        )
        acks += await client.submit_many([make_register(number) for number in range(100, 700)], ALICE)
        return acks

    with serve_at(site) as port:
        acks = drive(site, port, use)
    assert {"executed"} == {ack.status for ack in acks}
    assert list(range(690)) == sorted(ack.seq for ack in acks)


def test_a_node_that_comes_back(site):
    """Through a restart, actions under way end up executed once, and a subscription misses nothing."""

    async def use(client: Client):
        stream = client.subscribe("receipts", cursor=0, sender=SENDER)
        first = await client.submit(make_register(0), ALICE)
        assert (await anext(stream)).cursor == first.seq
        ready.set()
        outcomes, late = [], 0
        while late < 10:
            outcomes.append(await insist(client, make_register(len(outcomes) + 1)))
            late += again.is_set()
            await asyncio.sleep(0.02)
        return outcomes, [(await anext(stream)).cursor for _ in outcomes]

    ready, again = threading.Event(), threading.Event()
    results = []
    port = find_port()
    with serve_at(site, port):
        worker = threading.Thread(target=lambda: results.append(drive(site, port, use, timeout=60)))
        worker.start()
        assert ready.wait(60)
    with serve_at(site, port):
        again.set()
        worker.join(SECONDS)
    ((outcomes, seen),) = results
    assert list(range(1, len(outcomes) + 1)) == [ack.seq for ack in outcomes] == seen
    assert {"executed"} == {ack.status for ack in outcomes}


def test_a_node_that_has_stopped_is_not_waited_for(site):
    """An open block is durable and never closed: who waits for it is told why at once. What is closed is waited for."""
    patient = NodeOptions(timing=WriterOptions(block_seconds=3_600))

    async def use(client: Client):
        ack = await client.submit(make_register(0), ALICE)
        caller.node.retire("the disk is full: make room, and restart")
        with pytest.raises(IntakeClosed, match=r"block 1 is not closed.*make room, and restart"):
            await client.wait(ack, "C3B", timeout=SECONDS)
        return await client.wait(ack, "C0")

    with site.serve(options=patient) as caller:
        assert "C0" == drive(site, urlsplit(caller.url).port, use).level


async def insist(client: Client, action: Register):
    """Submit through a restart: what was not taken is submitted again, what is open is sent again as it is."""
    while True:
        try:
            return await client.submit(action, ALICE)
        except IntakeClosed:
            await asyncio.sleep(0.05)
        except OutcomeUnknown as error:
            return await client.submit_signed(error.signed.line)


def test_a_gap_that_nobody_fills(site):
    """An action ahead of its time is refused by its code, and the client goes on counting from what the node says."""

    async def use(client: Client):
        async with Client(f"http://127.0.0.1:{port}", app) as other:
            await other.submit(make_register(0), ALICE)
            nonces = client._submitter._get_nonces(SENDER)
            nonces._next = 3
            with pytest.raises(Exception, match="nonce_gap"):
                await client.submit(make_register(1), ALICE)
            return await client.submit(make_register(2), ALICE)

    with serve_at(site, options=FAST) as port:
        assert 1 == drive(site, port, use).seq
