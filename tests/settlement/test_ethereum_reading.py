"""Reading L1: reorgs, several sources of blobs, and nodes whose answers cannot be right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ethereum_harness import pass_blocks
from ethereum_site import Site, make_site, run_l1, settle, settle_next
from l1_fixtures import Anvil
from l1_proxy import JsonRpcError
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import UsageError
from microrollup.settlement.batch import decode_batch
from microrollup.settlement.ethereum.blobs import BLOB_BYTES
from microrollup.settlement.ethereum.contract import compute_topic
from microrollup.settlement.ethereum.errors import (
    BlobsMissing,
    BlobsUnreachable,
    L1BadAnswer,
    L1Error,
    L1Unreachable,
    NoInbox,
)
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.verifiers import VerifierSet
from microrollup.testing.settlement_harness import OWNER, extend, make_key, propose
from waiting import wait_for

STRANGER = compute_address(make_key("stranger"))


def _with(site: Site, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(site.options, **changes)


def test_open_refuses(site: Site) -> None:
    """No address, no contract, a contract that is no inbox, nobody at the URL, no URL."""
    with pytest.raises(UsageError):
        EthereumSettlement.open(_with(site, inbox=bytes(20)))
    with pytest.raises(NoInbox):
        EthereumSettlement.open(_with(site, inbox=b"\x01" * 20))
    site.anvil.call("anvil_setCode", "0x" + "77" * 20, "0x60005ff3")
    with pytest.raises(NoInbox):
        EthereumSettlement.open(_with(site, inbox=b"\x77" * 20))
    with pytest.raises(L1Unreachable) as caught:
        EthereumSettlement.open(_with(site, url="http://127.0.0.1:9/secret-key", retries=1))
    assert "secret" not in str(caught.value)
    user = site.proxy.url.replace("://", "://me:secret@")
    for url in (f"{site.proxy.url}?key=secret", f"{site.proxy.url}/a secret", user):
        site.proxy.fail["eth_chainId"] = 2
        with pytest.raises(L1Unreachable) as caught:
            EthereumSettlement.open(_with(site, url=url, retries=1))
        assert "secret" not in str(caught.value)
        site.proxy.fail.clear()
    for url in ("http://127.0.0.1:99999/secret", "http:///secret"):
        with pytest.raises(UsageError) as refused:
            EthereumSettlement.open(_with(site, url=url))
        assert "secret" not in str(refused.value)
    with pytest.raises(UsageError):
        EthereumSettlement.open(_with(site, url="ftp://127.0.0.1"))


def test_closed(site: Site) -> None:
    """A closed settlement refuses; closing twice does no harm."""
    for poll_seconds in (0, 5):
        inbox = site.open(poll_seconds=poll_seconds)
        inbox.close()
        inbox.close()
        with pytest.raises(UsageError):
            inbox.get_number()
        with pytest.raises(UsageError):
            inbox.force(b"", sender=STRANGER)


def test_followed_beside_its_callers(site: Site) -> None:
    """A task of its own follows L1: after a moment questions that cost no request tell what is new."""
    inbox = site.open(poll_seconds=0.05)
    number = inbox.get_number()
    site.anvil.mine(3)
    wait_for(lambda: inbox.get_number() == number + 3)
    site.proxy.fail["eth_getBlockByNumber"] = 5
    site.anvil.mine(2)
    wait_for(lambda: inbox.get_number() == number + 5)


# Reorgs. anvil replaces empty blocks by the very same ones, so something is in them here.


def make_block(anvil: Anvil) -> None:
    """A block with a transaction."""
    account = anvil.call("eth_accounts")[9]
    transaction = anvil.call("eth_sendTransaction", {"from": account, "to": account})
    wait_for(lambda: anvil.call("eth_getTransactionReceipt", transaction))


@pytest.mark.parametrize("depth", range(1, 11))
def test_reorg(site: Site, depth: int) -> None:
    """A settled batch and a forced action vanish with their blocks: it is told once, logged, and settled anew."""
    inbox = site.open()
    site.anvil.mine(10)
    settle_next(inbox)
    if depth > 1:
        inbox.force(b"payload", sender=STRANGER)
    site.anvil.mine(max(0, depth - 2))
    number, settled_in = inbox.get_number(), inbox.get_settled().l1_number
    assert number - depth == settled_in
    site.anvil.call("anvil_reorg", depth, [])
    with capture_logs() as logs:
        (reorg,) = inbox.poll_reorgs()
    assert (settled_in, 0) == (reorg.l1_number, reorg.head.height)
    assert ["l1_reorg"] == [entry["event"] for entry in logs]
    assert not logs[0]["deeper_than_buffer"]
    assert [] == inbox.poll_reorgs()
    assert None is inbox.get_confirmations(1)
    assert None is inbox.get_settled_at(1)
    assert 0 == inbox.get_forced_count(inbox.get_number())
    assert number <= inbox.get_number()
    assert inbox.get_origin() < settled_in
    site.anvil.call("anvil_dropAllTransactions")
    assert 1 == settle_next(inbox).height
    assert 1 == site.count_settled()


def test_reorg_to_a_shorter_chain(site: Site) -> None:
    """The number that was told never goes back, though L1's head does."""
    inbox = site.open()
    site.anvil.mine(10)
    number = inbox.get_number()
    site.anvil.call("anvil_rollback", 5)
    assert number == inbox.get_number()
    make_block(site.anvil)
    assert number == inbox.get_number()
    assert [number - 5] == [reorg.l1_number for reorg in inbox.poll_reorgs()]
    assert inbox.get_time(number - 1) < inbox.get_time(number)
    site.anvil.mine(6)
    assert number + 2 == inbox.get_number()


def test_reorg_deeper_than_the_buffer(site: Site) -> None:
    """It is reported with the number from which on, and logged as an error."""
    inbox = site.open(depth=3)
    make_block(site.anvil)
    site.anvil.mine(5)
    number = inbox.get_number()
    site.anvil.call("anvil_reorg", 6, [])
    with capture_logs() as logs:
        assert [number - 6] == [reorg.l1_number for reorg in inbox.poll_reorgs()]
    assert [("l1_reorg", "error", True)] == [(e["event"], e["log_level"], e["deeper_than_buffer"]) for e in logs]


def test_reorg_of_more_than_the_window(site: Site) -> None:
    """Even one that reaches below all that is remembered is found, and everything is read again."""
    inbox = site.open(depth=1)
    settle_next(inbox)
    make_block(site.anvil)
    site.anvil.mine(59)
    assert inbox.get_confirmations(1) == 61
    site.anvil.call("anvil_reorg", 60, [])
    (reorg,) = inbox.poll_reorgs()
    assert 1 == reorg.head.height
    assert 1 == inbox.get_settled().height


def test_reorg_while_away(site: Site) -> None:
    """After a long absence the chain that is found is compared with the one that was left."""
    inbox = site.open()
    settle_next(inbox)
    site.anvil.mine(3)
    make_block(site.anvil)
    site.anvil.mine(1)
    number = inbox.get_number()
    site.anvil.call("anvil_reorg", 2, [])
    site.anvil.mine(100)
    (reorg,) = inbox.poll_reorgs()
    assert (number - 2, 1) == (reorg.l1_number, reorg.head.height)
    assert 1 == inbox.get_settled().height


# Blobs from several sources.


def read_file_name(site: Site, inbox: EthereumSettlement) -> str:
    settled = inbox._look().find_settled(1)
    assert settled is not None
    transaction = site.anvil.call("eth_getTransactionByHash", f"0x{settled.transaction_hash.hex()}")
    (name,) = transaction["blobVersionedHashes"]
    return str(name)


def test_archive_holds_what_was_sent(blob_site: Site, tmp_path: Path) -> None:
    """Whoever settles with an archive reads its own batches back without any other source."""
    inbox = blob_site.open(archive=tmp_path / "blobs", blob_sources=())
    proposal = propose(inbox, extend(inbox))
    settle(inbox, proposal)
    (file,) = (tmp_path / "blobs").iterdir()
    assert (read_file_name(blob_site, inbox), BLOB_BYTES) == (file.name, file.stat().st_size)
    settled = inbox.get_settled_at(1)
    assert settled is not None
    assert proposal.batch == settled.batch
    assert 1 == len(decode_batch(settled.batch).blocks)


def test_sources_in_order(blob_site: Site, tmp_path: Path) -> None:
    """A corrupt file, one too short, an empty directory and a dead URL are passed over for the one that has it."""
    inbox = blob_site.open()
    proposal = propose(inbox, extend(inbox))
    settle(inbox, proposal)
    name = read_file_name(blob_site, inbox)
    for folder, content in (("corrupt", bytes(BLOB_BYTES)), ("short", b"\x00"), ("long", bytes(BLOB_BYTES + 9))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    bad = [str(tmp_path / folder) for folder in ("corrupt", "short", "long", "empty")] + ["http://127.0.0.1:9"]
    reader = blob_site.open(blob_sources=(*bad, blob_site.proxy.url))
    settled = reader.get_settled_at(1)
    assert settled is not None
    assert proposal.batch == settled.batch
    for error, places in ((BlobsUnreachable, bad), (BlobsMissing, bad[:-1])):
        with pytest.raises(error) as caught:
            blob_site.open(blob_sources=tuple(places)).get_settled_at(1)
        assert name[2:] == caught.value.versioned_hash.hex()
        assert len(places) == len(caught.value.asked)
        assert all(place in line for place, line in zip(places, caught.value.asked, strict=True))
    with pytest.raises(BlobsMissing, match="no source"):
        blob_site.open(blob_sources=()).get_settled_at(1)


def test_web_sources(blob_site: Site, tmp_path: Path) -> None:
    """An older beacon node's sidecars and a plain archive on the web will do; their lies will not."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    inbox = blob_site.open(archive=tmp_path)
    proposal = propose(inbox, extend(inbox))
    settle(inbox, proposal)
    (file,) = tmp_path.iterdir()
    blob = file.read_bytes()
    pages: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = next((page for pattern, page in pages.items() if re.fullmatch(pattern, self.path)), None)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    genesis = json.dumps({"data": {"genesis_time": "1"}}).encode()
    sidecars = r"/eth/v1/beacon/blob_sidecars/\d+"

    def read() -> bytes:
        reader = blob_site.open(blob_sources=(f"http://127.0.0.1:{server.server_address[1]}",))
        settled = reader.get_settled_at(1)
        assert settled is not None
        return settled.batch

    try:
        pages["/" + file.name] = blob
        assert proposal.batch == read()
        pages.clear()
        for lie in (
            b"", b"[]", b"{}", b"[" * 100_000, b'{"data": [1, {"blob": 7}, "0x"]}', b'{"data": {}}', b"\xff",
            json.dumps({"data": ["0x" + "00" * BLOB_BYTES, "0x" + "zz" * BLOB_BYTES]}).encode(),
        ):  # fmt: skip
            pages |= {"/eth/v1/beacon/genesis": genesis, sidecars: lie, "/" + file.name: lie}
            with pytest.raises(BlobsMissing):
                read()
            pages["/eth/v1/beacon/genesis"] = lie
            with pytest.raises(BlobsMissing):
                read()
        pages |= {
            "/eth/v1/beacon/genesis": genesis,
            sidecars: json.dumps({"data": [{"blob": f"0x{x.hex()}"} for x in (bytes(BLOB_BYTES), blob)]}).encode(),
        }
        assert proposal.batch == read()
    finally:
        server.shutdown()
        server.server_close()


# Nodes whose answers cannot be right.


def change(name: str, value: Any) -> Callable[[list[Any], Any], Any]:
    """An answer with another member."""
    return lambda _, answer: answer | {name: value} if isinstance(answer, dict) else answer


def change_logs(**members: Any) -> Callable[[list[Any], Any], Any]:
    return lambda _, logs: [log | members for log in logs]


def turn_back(_: list[Any], block: Any) -> Any:
    """A block with an earlier time than the one before it."""
    return block | {"timestamp": hex((1 << 32) - int(block["number"], 16))}


HASH = "0x" + "ab" * 32
CODE = bytes.fromhex("cd" * 32)
LIES: dict[str, tuple[str, Callable[[list[Any], Any], Any]]] = {
    "no block": ("eth_getBlockByNumber", lambda _, __: None),
    "a list": ("eth_getBlockByNumber", lambda _, __: []),
    "number too large": ("eth_getBlockByNumber", change("number", "0x" + "f" * 40)),
    "negative number": ("eth_getBlockByNumber", change("number", "-0x1")),
    "decimal number": ("eth_getBlockByNumber", change("number", 7)),
    "short hash": ("eth_getBlockByNumber", change("hash", "0xab")),
    "hash with a line feed": ("eth_getBlockByNumber", change("hash", HASH + "\n")),
    "time goes back": ("eth_getBlockByNumber", turn_back),
    "other parents": ("eth_getBlockByNumber", change("parentHash", HASH)),
    "no logs": ("eth_getLogs", lambda _, __: []),
    "logs are null": ("eth_getLogs", lambda _, __: None),
    "logs of another contract": ("eth_getLogs", change_logs(address="0x" + "11" * 20)),
    "logs of another block": ("eth_getLogs", change_logs(blockNumber="0x1")),
    "logs of a replaced block": ("eth_getLogs", change_logs(blockHash=HASH)),
    "unknown events": ("eth_getLogs", change_logs(topics=[HASH])),
    "no topics": ("eth_getLogs", change_logs(topics=[])),
    "empty data": ("eth_getLogs", change_logs(data="0x")),
    "odd data": ("eth_getLogs", change_logs(data="0x123")),
    "logs twice": ("eth_getLogs", lambda _, logs: logs + logs),
    "logs backwards": ("eth_getLogs", lambda _, logs: logs[::-1]),
    "the last one left out": ("eth_getLogs", lambda _, logs: logs[:-1]),
    "the first one left out": ("eth_getLogs", lambda _, logs: logs[1:]),
    "counters": ("eth_call", lambda _, answer: answer[:-1] + ("0" if answer[-1] != "0" else "1")),
    "no counters": ("eth_call", lambda _, __: "0x"),
}


@pytest.fixture(scope="module")
def told() -> Iterator[Site]:
    """An inbox with two batches and two forced actions, on an L1 that nobody adds to or takes back."""
    with run_l1() as anvil, make_site(anvil, da="calldata", retries=1) as site:
        inbox = site.open()
        settle_next(inbox)
        origin = inbox.get_settled().l1_origin
        inbox.force(b"first", sender=STRANGER)
        inbox.force(b"second", sender=STRANGER)
        settle_next(inbox, l1_origin=origin)
        yield site


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused(told: Site, lie: str) -> None:
    """A view is not opened on answers that cannot be right; on honest ones of the same node it is."""
    method, rewrite = LIES[lie]
    told.proxy.rewrite[method] = rewrite
    try:
        with pytest.raises((L1BadAnswer, NoInbox)):
            told.open()
    finally:
        told.proxy.rewrite.clear()
    assert (2, 2) == (told.open().get_settled().height, told.opened[-1].get_forced_count(1 << 40))


@pytest.mark.parametrize("lie", ["no block", "no logs", "the last one left out", "counters"])
def test_open_view_keeps_what_it_knew(site: Site, lie: str) -> None:
    """It says so once, settles nothing meanwhile, and goes on when the node is honest again."""
    inbox, honest = site.open(retries=1), site.open()
    known = inbox.get_number(), inbox.get_settled(), inbox.get_forced_count(1 << 40)
    honest.force(b"", sender=STRANGER)
    settle_next(honest, l1_origin=honest.get_settled().l1_origin)
    method, rewrite = LIES[lie]
    site.proxy.rewrite[method] = rewrite
    with capture_logs() as logs:
        assert known == (inbox.get_number(), inbox.get_settled(), inbox.get_forced_count(1 << 40))
    assert ["l1_not_followed"] == [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    with pytest.raises(L1Error):
        settle_next(inbox)
    site.proxy.rewrite.clear()
    assert (1, 1) == (inbox.get_settled().height, inbox.get_forced_count(1 << 40))


def test_times_are_those_of_the_hashes(told: Site) -> None:
    """A node that tells other times under the true hashes is not followed, once it has told a true header."""

    def later(_: Any, block: Any) -> Any:
        return block | {"timestamp": hex(int(block["timestamp"], 16) + 600)}

    inbox = told.open(retries=1)
    number, times = inbox.get_number(), [inbox.get_time(each) for each in range(inbox.get_number())]
    told.anvil.mine(2)
    told.proxy.rewrite["eth_getBlockByNumber"] = later
    try:
        with capture_logs() as logs:
            assert number == inbox.get_number()
        reasons = [each["reason"] for each in logs if each["event"] == "l1_not_followed"]
        assert [True] == ["not its header's" in each for each in reasons]
        with capture_logs() as logs:  # who knows no true header cannot tell, and says so
            assert number + 2 == told.open(retries=1).get_number()
        assert ["l1_hashes_unchecked"] == [each["event"] for each in logs if each["log_level"] == "warning"]
    finally:
        told.proxy.rewrite.clear()
    assert times == [inbox.get_time(each) for each in range(number)]
    assert number + 2 == inbox.get_number()


@pytest.mark.parametrize("word", range(14))
def test_forged_batches_are_refused(told: Site, word: int) -> None:
    """A node cannot make up a settled header: another word in it is not what the quorum signed."""

    def forge(_: Any, logs: Any) -> Any:
        log = logs[-1]
        data = bytearray.fromhex(log["data"][2:])
        data[64 + 32 * word + 31] ^= 1
        return [*logs[:-1], log | {"data": f"0x{data.hex()}"}]

    told.proxy.rewrite["eth_getLogs"] = forge
    try:
        with pytest.raises(L1BadAnswer, match="BatchSettled"):
            told.open()
    finally:
        told.proxy.rewrite.clear()


@pytest.mark.parametrize("body", [b"", b"x", b"{}", b"[]", b"null", b"[" * 100_000, b"\xff"])
def test_bodies_that_are_no_answers(site: Site, body: bytes) -> None:
    """Whatever stands in the body, the view stays, and the errors are ours."""
    inbox = site.open(retries=1)
    number = inbox.get_number()
    site.anvil.mine()
    site.proxy.replace_body = body
    assert number == inbox.get_number()
    with pytest.raises(L1Error):
        inbox.force(b"", sender=STRANGER)
    with pytest.raises(L1Error):
        site.open(retries=1)
    site.proxy.replace_body = None
    assert number + 1 == inbox.get_number()


def test_answers_are_bounded(site: Site) -> None:
    """An answer that does not end is cut off."""
    site.proxy.replace_body = b" " * 200_000
    with pytest.raises(L1BadAnswer, match="longer than 100000"):
        site.open(retries=1, answer_bytes=100_000)


def test_head_that_goes_back(site: Site) -> None:
    """A node that lags behind what it told before is noticed, and the view stays."""
    inbox = site.open()
    site.anvil.mine(5)
    number = inbox.get_number()
    old = site.anvil.call("eth_getBlockByNumber", hex(number - 4), False)
    site.proxy.rewrite["eth_getBlockByNumber"] = lambda params, answer: old if params[0] == "latest" else answer
    with capture_logs() as logs:
        assert [number] * 3 == [inbox.get_number() for _ in range(3)]
    assert ["l1_head_went_back"] == [entry["event"] for entry in logs]
    assert [] == inbox.poll_reorgs()


def test_head_that_goes_back_far(site: Site) -> None:
    """A node that lags by more than all that is remembered takes nothing back; once it has caught up it goes on."""
    site.anvil.mine(20)
    inbox = site.open(depth=2)
    settle_next(inbox)
    site.anvil.mine(70)
    number = inbox.get_number()
    for behind in (60, 80):
        old = site.anvil.call("eth_getBlockByNumber", hex(number - behind), False)
        site.proxy.rewrite["eth_getBlockByNumber"] = lambda p, answer, old=old: old if p[0] == "latest" else answer
        with capture_logs() as logs:
            assert (number, 1) == (inbox.get_number(), inbox.get_settled().height)
        assert "l1_reorg" not in [entry["event"] for entry in logs]
    assert [] == inbox.poll_reorgs()
    site.proxy.rewrite.clear()
    site.anvil.mine(1)
    assert number + 1 == inbox.get_number()


@pytest.mark.parametrize("what", ["VerifiersChanged", "BuilderChanged", "CodeAnnounced", "OwnerChanged"])
def test_announcements_that_are_left_out(site: Site, what: str) -> None:
    """A node that leaves out what the owner announced is found out when it comes into force, and all is read again."""
    inbox, topic = site.open(), f"0x{compute_topic(what).hex()}"
    heir = VerifierSet((b"\x11" * 20,), 1)
    site.proxy.rewrite["eth_getLogs"] = lambda _, logs: [log for log in logs if log["topics"][0] != topic]
    with suppress(L1BadAnswer):  # the announcer itself is told by its receipt
        if what == "VerifiersChanged":
            inbox.change_verifiers(heir, caller=OWNER)
        elif what == "BuilderChanged":
            inbox.change_builder(heir.addresses[0], caller=OWNER)
        elif what == "CodeAnnounced":
            inbox.announce_code(CODE, caller=OWNER)
        else:
            inbox.change_owner(heir.addresses[0], caller=OWNER)
    number = inbox.get_number() + CHANGE_DELAY_BLOCKS
    pass_blocks(site.anvil, CHANGE_DELAY_BLOCKS + 5)
    with capture_logs() as logs:
        assert number > inbox.get_number()
    assert "l1_not_followed" in [entry["event"] for entry in logs]
    del site.proxy.rewrite["eth_getLogs"]
    with capture_logs() as logs:
        assert number < inbox.get_number()
    assert ["l1_events_read_again"] == [e["event"] for e in logs if e["event"] == "l1_events_read_again"]
    later = number + 1
    found = (inbox.get_verifiers(later), inbox.get_builder(later), inbox.get_owner(later), inbox.get_stf_id(later))
    assert 1 == len([each for each in found if each in (heir, heir.addresses[0], CODE)])
    assert [] == inbox.poll_reorgs()


@pytest.mark.parametrize("ahead", [1, 2, 1000, 1 << 50])
def test_head_that_jumps_ahead(site: Site, ahead: int) -> None:
    """A head that no chain leads to is refused, however near it is."""
    inbox = site.open()
    number = inbox.get_number()

    def lie(params: Any, answer: Any) -> Any:
        if params[0] != "latest":
            return answer
        later = int(answer["timestamp"], 16) + 12 * ahead
        return answer | {"number": hex(int(answer["number"], 16) + ahead), "hash": HASH, "timestamp": hex(later)}

    site.proxy.rewrite["eth_getBlockByNumber"] = lie
    with capture_logs() as logs:
        assert number == inbox.get_number()
    assert "l1_not_followed" in [entry["event"] for entry in logs]
    assert [] == inbox.poll_reorgs()


def test_head_with_another_hash(site: Site) -> None:
    """A reorg that the node itself does not stand by is none."""
    inbox = site.open()
    number = inbox.get_number()
    site.proxy.rewrite["eth_getBlockByNumber"] = lambda p, block: block | {"hash": HASH} if p[0] == "latest" else block
    assert number == inbox.get_number()
    assert [] == inbox.poll_reorgs()


@pytest.mark.parametrize("member", ["input", "hash", "to"])
def test_forged_transaction(site: Site, member: str) -> None:
    """The batch that a node gives must be the attested one."""
    inbox = site.open()
    settle_next(inbox)

    def lie(_: Any, answer: Any) -> Any:
        value = answer[member]
        return answer | {member: value[:-2] + f"{int(value[-2:], 16) ^ 1:02x}"}

    site.proxy.rewrite["eth_getTransactionByHash"] = lie
    reader = site.open()
    if member == "input":  # a change in the padding at its end changes no argument
        site.proxy.rewrite["eth_getTransactionByHash"] = lambda _, a: a | {"input": a["input"].replace("789c", "789d")}
    with pytest.raises(L1BadAnswer):
        reader.get_settled_at(1)
    site.proxy.rewrite["eth_getTransactionByHash"] = lambda _, __: None
    with pytest.raises(L1BadAnswer):
        reader.get_settled_at(1)


def test_forged_blob_hashes(blob_site: Site) -> None:
    """Other blobs than the attested ones, fewer, or none."""
    settle_next(blob_site.open())
    for hashes in ([HASH], [], [HASH] * 65):
        blob_site.proxy.rewrite["eth_getTransactionByHash"] = lambda _, a, hashes=hashes: (
            a | {"blobVersionedHashes": hashes}
        )
        with pytest.raises(L1BadAnswer):
            blob_site.open().get_settled_at(1)


def test_ranges_of_logs_are_halved(site: Site) -> None:
    """A node that limits ranges is asked for smaller ones."""
    inbox = site.open()
    settle_next(inbox)
    site.anvil.mine(40)

    def limit(params: Any, answer: Any) -> Any:
        if int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) < 5:
            return answer
        raise JsonRpcError(-32005, "query returned more than we like")

    site.proxy.rewrite["eth_getLogs"] = limit
    assert 1 == site.open().get_settled().height


def test_times_of_old_blocks(site: Site) -> None:
    """Times of blocks below the window are read in stretches, so that thousands cost few requests."""
    site.anvil.mine(300)
    inbox = site.open(poll_seconds=60)
    number = inbox.get_number()
    before = inbox._transport.requests
    times = [inbox.get_time(n) for n in range(number - 290, number)]
    assert [12] * 289 == [later - earlier for earlier, later in pairwise(times)]
    assert inbox._transport.requests - before <= 6
    site.proxy.rewrite["eth_getBlockByNumber"] = turn_back
    with pytest.raises(L1BadAnswer):
        site.open(poll_seconds=60)
