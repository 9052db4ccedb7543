"""Verifiers that follow a node: confirmations in their order, settlement, processes that are lost, blocks that are
wrong.
"""

import io
import json
import os
import signal
import time

import msgspec
import pytest

from kernel_fixtures import VERIFIER_KEY, Chain, make_key, seal
from microrollup.chain.answers.confirmations import Divergent
from microrollup.chain.record import Open
from microrollup.cli.following import show_followed
from microrollup.cli.output import Output
from microrollup.crypto.ecdsa import compute_address
from microrollup.errors import IntakeStopped
from microrollup.node.divergence_note import keep_divergence, read_divergence
from microrollup.node.options import NodeOptions
from microrollup.node.settling import AttestationRefused
from microrollup.node.status import describe_status
from microrollup.node.verifiers import VerifierLink
from microrollup.node.writer import WriterOptions
from microrollup.sequencer.sequencer import Sequenced
from microrollup.settlement.attestation import sign_attestation
from microrollup.settlement.local import SECONDS_PER_BLOCK
from microrollup.settlement.place import LocalPlace
from microrollup.verifier.events import DivergenceEvent, Report, Tick, VerifierRequest
from node_fixtures import FAST, Site
from paths import SUPPORT
from waiting import wait_for


def submit(node, *lines):
    return node.submit(lines).result(60)


def read_levels(node, height):
    """What was announced of a height, in order."""
    return [each.level for each in node.announcements.read(0, 10_000) if each.height == height]


def test_levels_come_in_order_and_can_be_read(tmp_path):
    """A block is executed, verified, available and settled, each announced once, after it can be read."""
    site = Site(tmp_path)
    seen = []
    with site.open(verifiers=1) as node:
        stop = node.hub.listen(lambda: seen.append((node.confirmations.latest, node.lookups.get_tip())))
        submit(node, site.line(("count", 0, 1)))
        wait_for(lambda: node.confirmations.settled == 1)
        stop()
        assert ["C1", "C2", "C3A", "C3B"] == read_levels(node, 1)
        assert all(announced <= readable for announced, readable in seen)
        assert "C3B" == node.confirmations.get_level(1)
        assert 1 == node.l1.get_settled().height
        assert node.l1.get_settled().block_hash == node.ledger.checkpoint.block_hash
        submit(node, site.line(("count", 0, 1)), site.line(("count", 0, 2)))
        wait_for(lambda: node.confirmations.settled == 2)
    with site.open() as node:
        assert ("C3B", 2) == (node.confirmations.get_level(2), node.confirmations.settled)


def test_a_lost_verifier_is_started_again(tmp_path):
    """A verifier that is killed comes back and catches up; meanwhile blocks go on."""
    site = Site(tmp_path)
    with site.open(verifiers=1) as node:
        submit(node, site.line(("count", 0, 1)))
        wait_for(lambda: node.confirmations.verified == 1)
        (link,) = node.links
        first = link.pid
        os.kill(first, signal.SIGKILL)
        for _ in range(3):
            submit(node, site.line(("count", 0, 1)))
            wait_for(lambda: node.ledger.block is None)
        wait_for(lambda: node.confirmations.settled == node.confirmations.latest >= 4)
        assert first != link.pid
        assert 1 == link.failures


def test_a_quorum_attests_the_same_batch(tmp_path):
    """Of three verifiers two must attest: one alone verifies nothing here; with two it settles."""
    site = Site(tmp_path, verifiers=3)
    with site.open(verifiers=1) as node:
        submit(node, site.line(("count", 0, 1)))
        (link,) = node.links
        wait_for(lambda: node.reactions._vouches.get_height(bytes.fromhex(link.name[2:])) == 1)
        wait_for(lambda: node._settler.get_candidate(1) is not None)
        assert (0, 0) == (node.confirmations.verified, node.confirmations.settled)
        attestation = node._settler.get_candidate(1).attestation
        good = sign_attestation(site.keys[1], attestation, 31337, bytes(20))
        wrong = sign_attestation(
            site.keys[1], msgspec.structs.replace(attestation, state_root=bytes(32)), 31337, bytes(20)
        )
        with pytest.raises(AttestationRefused, match="not of the batch"):
            node.submit_attestation(wrong)
        with pytest.raises(AttestationRefused, match="not among"):
            node.submit_attestation(sign_attestation(make_key("eve"), attestation, 31337, bytes(20)))
        assert 2 == node.submit_attestation(good)[1]
        wait_for(lambda: node.confirmations.settled == 1)
        assert 1 == node.confirmations.verified
        with pytest.raises(AttestationRefused):
            node.submit_attestation(good)


def test_what_was_verified_stays_so(tmp_path):
    """C2 holds over a restart before any verifier has said a word, for the blocks that it was said of and no others."""
    site = Site(tmp_path, verifiers=2)
    with site.open(verifiers=2) as node:
        node._settler.halt()
        for _ in range(2):
            submit(node, site.line(("count", 0, 1)))
            wait_for(lambda: node.ledger.block is None)
        wait_for(lambda: node.confirmations.verified == 2)
    with site.open() as node:
        assert ["C2", "C2"] == [node.confirmations.get_level(height) for height in (1, 2)]
        assert (2, 0) == (node.confirmations.verified, node.confirmations.settled)
        submit(node, site.line(("count", 0, 1)))
        wait_for(lambda: node.confirmations.latest == 3)
        assert "C1" == node.confirmations.get_level(3)
    keep_divergence(tmp_path / "node", Divergent(2, None, "stateRoot", "0x01", "0x02"))
    with site.open() as node:
        wait_for(lambda: node.confirmations.latest >= 2)
        assert ["C2", "C2"] == [node.confirmations.get_level(height) for height in (1, 2)]  # built again, and the same


def test_a_verifier_of_other_blocks_vouches_for_none(tmp_path):
    """A verifier whose store is ahead of the node's, as after a node's disk was put back, verifies nothing here."""
    site = Site(tmp_path)
    name = f"0x{compute_address(site.keys[0]).hex()}"
    with site.open() as node:
        submit(node, site.line(("count", 0, 1)))
        wait_for(lambda: node.confirmations.latest == 1)
        own = f"0x{node.ledger.checkpoint.block_hash.hex()}"
        report = Report(5, 6, 9, "0x00", own, "0x00", "0x00", [], [])
        node.reactions.note_report(name, report)
        assert (0, "C1") == (node.confirmations.verified, node.confirmations.get_level(1))
        node.reactions.note_report(name, msgspec.structs.replace(report, verified=1, block_hash="0x" + "11" * 32))
        assert 0 == node.confirmations.verified
        node.reactions.note_report(name, msgspec.structs.replace(report, verified=1))
        assert (1, "C2") == (node.confirmations.verified, node.confirmations.get_level(1))


FIELDS = ["receipts_root", "state_root", "timestamp"]


def lie(node, field):
    """From now on the builder seals blocks whose header says something else."""
    honest = node.ledger.compute_header

    def compute():
        closing = honest()
        value = getattr(closing.header, field)
        wrong = value + 1 if isinstance(value, int) else bytes(31) + b"\x01"
        return msgspec.structs.replace(closing, header=msgspec.structs.replace(closing.header, **{field: wrong}))

    node.ledger.compute_header = compute


@pytest.mark.parametrize("field", FIELDS)
def test_a_lying_builder_is_found(tmp_path, field):
    """The verifier says C2X with the field's name, intake stops and says so, and a restart builds the blocks again from
    the log: every acknowledged action is there at its seq, and settles.
    """
    site = Site(tmp_path)
    options = NodeOptions(timing=WriterOptions(block_seconds=0.3, gap_seconds=0.5, poll_seconds=0.05))
    with site.open(verifiers=1, options=options) as node:
        acked = submit(node, site.line(("count", 0, 1)))
        wait_for(lambda: node.confirmations.settled == 1)
        lie(node, field)
        acked += submit(node, *[site.line(("count", 0, 1)) for _ in range(3)])
        acked += list(_submit_until_stopped(site, node))
        wait_for(lambda: node.stopped is not None)
        status = describe_status(node)
        assert "stopped" == status.intake
        assert (2, field) == (status.divergence.height, _snake(status.divergence.field))
        assert "C2X" in status.reason
        assert "C2X" == node.confirmations.get_level(2)
        assert "C2X" in read_levels(node, 2)
        assert "C3B" == node.confirmations.get_level(1)
        with pytest.raises(IntakeStopped):
            node.submit([site.line(("count", 0, 1), nonce=99)])
        assert 1 == node.lookups.get_action(1).seq
        assert 1 == node.l1.get_settled().height
    assert read_divergence(tmp_path / "node") is not None
    with site.open(verifiers=1) as node:
        assert node.stopped is None
        for result in acked:
            found = node.lookups.find_action(result.receipt.action_hash)
            assert (result.receipt.seq, result.receipt) == (found.seq, found.receipt)
        acked += submit(node, site.line(("count", 0, 1)))
        wait_for(lambda: node.confirmations.settled == node.confirmations.latest >= 3)
    assert list(range(len(acked))) == [result.receipt.seq for result in acked]
    assert read_divergence(tmp_path / "node") is None


def _submit_until_stopped(site, node):
    for _ in range(3):
        nonce = site.signer.nonces["alice"]
        try:
            (result,) = submit(node, site.line(("count", 0, 1)))
        except IntakeStopped:
            result = None
        if not isinstance(result, Sequenced):
            site.signer.nonces["alice"] = nonce
            return
        yield result
        time.sleep(0.05)


def _snake(name):
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def test_a_settled_lie_stays_shut(tmp_path):
    """What is settled cannot be built again: the node serves reads, and takes nothing until somebody decides."""
    from microrollup.chain.answers.confirmations import Divergent
    from microrollup.node.divergence_note import keep_divergence

    site = Site(tmp_path)
    with site.open(verifiers=1) as node:
        submit(node, site.line(("count", 0, 1)))
        wait_for(lambda: node.confirmations.settled == 1)
    keep_divergence(tmp_path / "node", Divergent(1, None, "stateRoot", "0x00", "0x01"))
    with site.open() as node:
        wait_for(lambda: node.stopped is not None)
        assert 1 == node.lookups.get_tip()
        with pytest.raises(IntakeStopped):
            node.submit([site.line(("count", 0, 1))])


def test_a_verifier_of_nobody_is_not_counted(tmp_path):
    """A verifier whose key is not in the set neither verifies nor settles anything here."""
    site = Site(tmp_path)
    stranger = make_key("stranger")
    site.keys = [stranger]
    with site.open(verifiers=1, options=FAST) as node:
        submit(node, site.line(("count", 0, 1)))
        (link,) = node.links
        wait_for(lambda: link.failures > 0)
        assert (0, 0) == (node.confirmations.verified, node.confirmations.settled)
        assert compute_address(stranger).hex() == link.name[2:]


@pytest.mark.parametrize("over_http", [True, False])
def test_a_follower_elsewhere_finds_the_lie(tmp_path, over_http):
    """`verify --follow` names the field and ends with exit code 1, over the network and on the store itself."""
    site = Site(tmp_path)
    with site.serve() as caller:
        submit(caller.node, site.line(("count", 0, 1)))
        wait_for(lambda: caller.node.confirmations.latest == 1)
        lie(caller.node, "receipts_root")
        submit(caller.node, site.line(("count", 0, 1)))
        wait_for(lambda: caller.node.confirmations.latest == 2)
        request = msgspec.structs.replace(
            site.make_spec(site.keys[0]).request,
            source=caller.url if over_http else str(tmp_path / "node"),
            directory=str(tmp_path / "elsewhere"),
            signed=str(tmp_path / "elsewhere signed"),
        )
        stdout = io.StringIO()
        assert 1 == show_followed(request, Output(as_json=True, stdout=stdout))
    found = json.loads(stdout.getvalue())
    assert (2, "receiptsRoot") == (found["height"], found["field"])


def test_a_writer_that_fails_refuses_all(tmp_path, monkeypatch):
    """If the writer's thread ends by a bug of ours, everybody is answered, nothing hangs, and the node says so."""
    site = Site(tmp_path)
    with site.open() as node:

        def fail():
            raise RuntimeError("a bug")

        monkeypatch.setattr(node._writer, "_keep_time", fail)
        wait_for(lambda: node.stopped is not None)
        for _ in range(3):
            with pytest.raises(IntakeStopped):
                node.submit([site.line(("count", 0, 1))])
        for _ in range(6):
            (result,) = node.intake.submit([b"{}"]).result(60)
            assert isinstance(result, IntakeStopped)


def test_the_lowest_invalid_block_is_kept(tmp_path, monkeypatch):
    """Of two verifiers' divergences the lower one is shown and kept; a full disk keeps intake no less shut."""
    site = Site(tmp_path)
    event = DivergenceEvent(2, None, "stateRoot", "0x01", "0x02")
    with site.open() as node:
        for _ in range(3):
            submit(node, site.line(("count", 0, 1)))
            wait_for(lambda: node.ledger.block is None)
        node.reactions.note_divergence("0x11", event)
        node.reactions.note_divergence("0x22", msgspec.structs.replace(event, height=3))
        assert (2, 2) == (node.confirmations.divergent.height, read_divergence(tmp_path / "node").height)
        monkeypatch.setattr("microrollup.node.reactions.keep_divergence", _fill_disk)
        node.reactions.note_divergence("0x33", msgspec.structs.replace(event, height=1))
        assert (1, "C2X") == (node.confirmations.divergent.height, node.confirmations.get_level(1))
        wait_for(lambda: "block 1 is invalid" in (node.stopped or ""))


def _fill_disk(*_):
    raise OSError(28, "No space left on device")


class Heard:
    """What a verifier told."""

    def __init__(self):
        self.reports, self.attested = [], []

    def note_verified(self, name, height):
        pass

    def note_report(self, name, report):
        self.reports.append((report.verified, report.waiting))

    def take_attestation(self, signed):
        self.attested.append(signed.attestation.last_height)

    def note_divergence(self, name, event):
        raise AssertionError(event)


def test_a_verifier_that_waits_for_l1_looks_again(tmp_path):
    """A block that is bound to a newer L1 block than the verifier judges: it says so, without an error, and verifies
    and attests it once L1 has gone on, although no other block wakes it.
    """
    chain, heard = Chain(tmp_path), Heard()
    origin = chain.l1.get_number() + 5
    chain.ledger.begin(Open(1, origin * SECONDS_PER_BLOCK, origin, chain.rollup.stf_id))
    closing = chain.ledger.compute_header()
    chain.ledger.finish(closing, seal(closing.header))
    request = VerifierRequest(
        "zoo:zoo", str(tmp_path / "builder"), str(tmp_path / "verifier"), [str(SUPPORT)], workers=0, follow=True,
        l1=LocalPlace(str(tmp_path / "l1")), secret=VERIFIER_KEY.secret.hex(),
    )  # fmt: skip
    link = VerifierLink("0x00", request, heard, Tick())
    link.start()
    try:
        wait_for(lambda: (0, 1) in heard.reports)
        chain.advance(5)
        chain.l1.get_number()
        wait_for(lambda: (0, 1) == heard.reports[-1])  # one L1 block less than it takes
        chain.advance()
        chain.l1.get_number()
        wait_for(lambda: (1, None) == heard.reports[-1] and set(heard.attested) == {1})
        assert 0 == link.failures
    finally:
        link.close()
        chain.close()
