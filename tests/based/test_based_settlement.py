"""Verifiers of a based rollup sign the same without talking, and anybody settles what they have signed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from based_world import BasedWorld, follow, make_based_genesis
from kernel_fixtures import OWNER, make_key, make_steps
from microrollup.chain.block import Header, encode_header_words
from microrollup.crypto.bls_shares import load_bls_key
from microrollup.crypto.ecdsa import compute_address
from microrollup.deployment.attesting import (
    AttestationBoard,
    gather_attestations,
    serve_attestations,
    settle_based,
)
from microrollup.errors import AttestationConflict, UsageError
from microrollup.settlement.attestation import (
    SignedAttestation,
    attestation_to_json,
    create_attestation,
    sign_attestation,
)
from microrollup.settlement.batch import BASED_DATA_HASH, compute_data_hash
from microrollup.settlement.errors import BadOrigin, Based, ForcedSkipped, WrongData, WrongForcedHash
from microrollup.settlement.inbox import CHANGE_DELAY_BLOCKS
from microrollup.settlement.local import SECONDS_PER_BLOCK, LocalSettlement
from microrollup.settlement.protocol import SettledHead
from microrollup.settlement.verifiers import BLS, VerifierSet, sort_keys
from microrollup.verifier.based import ATTESTED_BLOCKS, attest_queue
from microrollup.verifier.signatures import SignedHeights
from zoo import zoo

KEYS = [make_key(f"verifier {number} of a based rollup") for number in range(3)]
TICKET = make_steps(("set_ticket", 5, 50))
ANYBODY = compute_address(make_key("anybody"))


@pytest.fixture
def world(tmp_path: Path) -> BasedWorld:
    return BasedWorld(tmp_path, genesis=make_based_genesis(zoo, [compute_address(key) for key in KEYS], quorum=2))


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[list[SignedHeights]]:
    with ExitStack() as stack:
        yield [stack.enter_context(SignedHeights(tmp_path / f"signed {number}")) for number in range(3)]


def settle(l1: LocalSettlement, header: Header, attestations: list[SignedAttestation]) -> SettledHead:
    return l1.settle(b"", header, attestations, submitter=ANYBODY)


def test_three_verifiers_agree(world: BasedWorld, tables: list[SignedHeights]) -> None:
    """At different moments between two multiples of 32 each signs the same; two of them are a quorum, and anybody
    settles. The next begins where that ended.
    """
    history = [world.call(number, TICKET) for number in range(1, 120, 3)]
    with ExitStack() as stack:
        ledgers = [stack.enter_context(world.make_ledger(f"verifier {number}")) for number in range(3)]
        said = []
        for number, (ledger, key, table) in enumerate(zip(ledgers, KEYS, tables, strict=True)):
            begin = -(-(world_start(world) + 80) // ATTESTED_BLOCKS) * ATTESTED_BLOCKS - world_start(world)
            ends = begin + 1 + 9 * number
            with world.open_l1(f"seen by {number}", [c for c in history if c.number < ends], ends) as l1:
                follow(ledger, l1)
                said.append(attest_queue(ledger, l1, key, table))
        first, second, third = [each for each in said if each is not None]
        assert first.attestation == second.attestation == third.attestation
        assert (1, BASED_DATA_HASH) == (first.attestation.first_height, first.attestation.data_hash)
        with world.open_l1("l1", history, 200) as l1:
            follow(ledgers[0], l1)
            header = ledgers[0].get_header(first.attestation.last_height)
            head = settle(l1, header, [first, third])
            assert (header.height, header.state_root) == (head.height, head.state_root)
            following = attest_queue(ledgers[0], l1, KEYS[0], tables[0])
            assert following is not None
            assert header.height + 1 == following.attestation.first_height
            follow(ledgers[1], l1)
            other = attest_queue(ledgers[1], l1, KEYS[1], tables[1])
            assert other is not None
            assert following.attestation == other.attestation
            settle(l1, ledgers[0].get_header(following.attestation.last_height), [following, other])
            assert attest_queue(ledgers[0], l1, KEYS[0], tables[0]) is None


def world_start(world: BasedWorld) -> int:
    """The L1 block from which the histories count."""
    with world.open_l1("to ask its number", [], 0) as l1:
        number = l1.get_number()
    shutil.rmtree(world.root / "to ask its number")
    return number


def test_one_hash_a_height(world: BasedWorld, tables: list[SignedHeights]) -> None:
    """After a reorg that is deeper than anybody waited for, a verifier does not sign another block of a height."""
    with world.make_ledger("verifier") as ledger:
        with world.open_l1("old", [world.call(1, TICKET)], 100) as l1:
            follow(ledger, l1)
            assert attest_queue(ledger, l1, KEYS[0], tables[0]) is not None
        with world.open_l1("new", [world.call(2, TICKET)], 100) as l1:
            follow(ledger, l1)
            with pytest.raises(AttestationConflict):
                attest_queue(ledger, l1, KEYS[0], tables[0])


def test_what_the_inbox_takes(world: BasedWorld, tables: list[SignedHeights]) -> None:
    """No data; one entry of the queue at least, as it is; an origin from the settled one on, however old."""
    with world.open_l1("l1", [world.call(1, TICKET), world.call(2, TICKET)], 40_000) as l1:
        with world.make_ledger("verifier") as ledger:
            follow(ledger, l1)
            header = ledger.header
        parent = l1.get_settled().block_hash

        def sign(header: Header, data_hash: bytes = BASED_DATA_HASH) -> list[SignedAttestation]:
            attestation = create_attestation(parent, 1, header, data_hash)
            return [sign_attestation(key, attestation, 31337, l1.get_inbox()) for key in KEYS[:2]]

        with pytest.raises(Based):
            l1.settle(b"data", header, sign(header, compute_data_hash(b"data")), submitter=ANYBODY)
        with pytest.raises(WrongData):
            settle(l1, header, sign(header, compute_data_hash(b"")))
        replace = msgspec.structs.replace
        for wrong, error in (
            (replace(header, forced_count=0, forced_hash=bytes(32)), ForcedSkipped),
            (replace(header, forced_count=1), WrongForcedHash),
            (replace(header, l1_origin=l1.get_number()), BadOrigin),
        ):
            with pytest.raises(error):
                settle(l1, wrong, sign(wrong))
        settle(l1, header, sign(header))


def test_bls_keys_that_are_served(world: BasedWorld, tables: list[SignedHeights]) -> None:
    """A based rollup whose verifiers have BLS keys is settled with what they serve; a lying share counts for nobody,
    and a stranger's is not even looked at.
    """
    keys = {key.public: key for key in [load_bls_key(bytes(31) + bytes((number,))) for number in (1, 2, 3)]}
    order = sort_keys(keys)
    with world.open_l1("l1", [world.call(1, TICKET), world.call(2, TICKET)], 10) as l1, ExitStack() as stack:
        page = l1.register_keys(order, [keys[key].prove_possession() for key in order], sender=OWNER)
        l1.change_verifiers(VerifierSet((page,), 2, BLS), caller=OWNER)
        world.seconds += (CHANGE_DELAY_BLOCKS + 64) * SECONDS_PER_BLOCK
        ledger = stack.enter_context(world.make_ledger("verifier"))
        follow(ledger, l1)
        said = [attest_queue(ledger, l1, key, table) for key, table in zip(keys.values(), tables, strict=True)]
        first, second, third = [each for each in said if each is not None]
        liar = msgspec.structs.replace(third, key=second.key)
        stranger = sign_attestation(load_bls_key(bytes(31) + b"\x09"), first.attestation, 31337, l1.get_inbox())
        urls = []
        for signed in (first, liar, stranger, third):
            board = AttestationBoard()
            header = ledger.get_header(signed.attestation.last_height)
            form = msgspec.json.decode(attestation_to_json(signed))
            board._forms = [form | {"header": f"0x{encode_header_words(header).hex()}"}]
            port = stack.enter_context(serve_attestations(board, "127.0.0.1", 0))
            urls.append(f"http://127.0.0.1:{port}")
        served, failed = gather_attestations(urls[:3])
        assert (3, {}) == (len(served), failed)
        with pytest.raises(UsageError, match="1 of the rollup's verifiers agree, 2 have to"):
            settle_based(l1, make_key("anybody"), served)
        served, failed = gather_attestations(urls)
        head = settle_based(l1, make_key("anybody"), served)
        assert head is not None
        assert (2, {}) == (head.height, failed)
