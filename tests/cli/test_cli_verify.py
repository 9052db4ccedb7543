"""`microrollup export`, `verify` and `settle`: from one party's store to a root that a quorum of others attested."""

import json
import shutil

import pytest
from msgspec.structs import replace

from command_line import APP, EXPECTED, LINES, WALLET_FILE, cli, import_lines
from microrollup.chain.block import seal_header
from microrollup.chain.export import BlockFile, write_blocks
from microrollup.chain.record import Open
from microrollup.codec.schema import to_camel_case
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.declaration.rollup import load_rollup
from microrollup.keys.files import read_key
from microrollup.ledger.ledger import Ledger
from microrollup.settlement.local import SECONDS_PER_BLOCK

__all__ = ["cli"]

VERIFIER_KEYS = [bytes([number]) * 32 for number in (0x21, 0x22, 0x23)]


@pytest.fixture
def data(cli, tmp_path):
    """A store with 30 actions in three blocks."""
    import_lines(cli, tmp_path / "data", LINES[:30], "--block-size", 10)
    return tmp_path / "data"


@pytest.fixture
def blocks(cli, data, tmp_path):
    """Its blocks in a file."""
    document = cli.ask("export", APP, "--data", data, "--out", tmp_path / "blocks")
    assert 3 == document["blocks"]
    return tmp_path / "blocks"


def attest(cli, source, data, key=None, own=None):
    """What the verifier with the development key (or another one) prints; `own` is its store."""
    key = data / "keys" / "verifier.key" if key is None else key
    extra = [] if own is None else ["--data", own]
    return cli.ask("verify", APP, "--from", source, "--l1", data / "l1", "--key", key, *extra)


def test_verify_a_file(cli, blocks, data):
    """Blocks from a file verify; without a view of L1 what it would show is unchecked, and nothing is signed."""
    document = cli.ask("verify", APP, "--from", blocks)
    log = cli.ask("log", APP, "--data", data)["records"]
    assert (3, 30, []) == (document["verified"], document["actions"], document["attestations"])
    assert log[0]["rollupId"] == document["rollupId"]
    assert {"dueForcedActions", "voidedForcedActions", "l1Time", "builder"} == set(document["unchecked"])


def test_verify_a_store(cli, data):
    """Blocks from somebody's store verify too, and with L1 nothing is unchecked."""
    document = cli.ask("verify", APP, "--from", data, "--l1", data / "l1")
    assert (3, [], []) == (document["verified"], document["unchecked"], document["attestations"])
    assert document["executedOnce"] is False


def test_people_see_what_was_verified(cli, blocks):
    """Without --json the report is for people, and names what was not checked."""
    result = cli("verify", APP, "--from", blocks)
    assert (0, "") == (result.code, result.err)
    assert "height 3 (now: 1 to 3)" in result.out
    assert "l1Time" in result.out


def test_what_is_not_judged_yet(cli, data):
    """A block that is bound to an L1 block which this view does not judge yet is no failure: the report names it, what
    comes before it is verified and attested, and without a view of L1 it is verified.
    """
    rollup = load_rollup(APP)
    with Ledger.open(data, rollup) as ledger:
        origin = ledger.header.l1_origin + 100_000
        ledger.begin(Open(4, origin * SECONDS_PER_BLOCK, origin, rollup.stf_id))
        closing = ledger.compute_header()
        ledger.finish(closing, seal_header(read_key(data / "keys" / "builder.key"), closing.header, 0))
    document = attest(cli, data, data)
    assert (3, 4, 1) == (document["verified"], document["notJudged"], len(document["attestations"]))
    result = cli("verify", APP, "--from", data, "--l1", data / "l1")
    assert (0, "") == (result.code, result.err)
    assert "from height 4 on" in result.out
    document = cli.ask("verify", APP, "--from", data)
    assert (4, None) == (document["verified"], document["notJudged"])


def test_a_verifiers_own_store_goes_on(cli, data, tmp_path):
    """With --data a verifier keeps what it verified and checks only what is new."""
    own = tmp_path / "verifier"
    assert 1 == cli.ask("verify", APP, "--from", data, "--data", own)["firstVerified"]
    import_lines(cli, data, LINES[30:40], "--block-size", 10)
    document = cli.ask("verify", APP, "--from", data, "--data", own)
    assert (4, 4) == (document["firstVerified"], document["verified"])
    document = cli.ask("verify", APP, "--from", data, "--data", own)
    assert (5, 4) == (document["firstVerified"], document["verified"])


def test_the_rollup_can_be_pinned(cli, blocks):
    """With --rollup-id only that rollup is verified; its text form does not matter."""
    rollup_id = cli.ask("verify", APP, "--from", blocks)["rollupId"]
    for text in (rollup_id, rollup_id[2:], "0x" + rollup_id[2:].upper()):
        assert 3 == cli.ask("verify", APP, "--from", blocks, "--rollup-id", text)["verified"]
    assert f"the blocks are of rollup {rollup_id}" in cli.refuse(
        "verify", APP, "--from", blocks, "--rollup-id", "11" * 32
    )


def test_errors_of_the_verifier_are_one_line(cli, blocks, data, tmp_path):
    """What keeps the verifier's process from its work comes out as one sentence, like every other error."""
    assert "no local settlement" in cli.refuse("verify", APP, "--from", blocks, "--l1", tmp_path / "nowhere")
    assert "no module 'no.such'" in cli.refuse("verify", "no.such", "--from", blocks)
    stranger = tmp_path / "stranger.key"
    stranger.write_text("33" * 32)
    sentence = cli.refuse("verify", APP, "--from", blocks, "--l1", data / "l1", "--key", stranger)
    assert "is not among the rollup's verifiers" in sentence
    cut = tmp_path / "cut"
    cut.write_bytes(blocks.read_bytes()[:-1])
    assert "cut off" in cli.refuse("verify", APP, "--from", cut)
    import_lines(cli, tmp_path / "other", LINES[:1])
    assert "L1 holds another rollup" in cli.refuse("verify", APP, "--from", blocks, "--l1", tmp_path / "other" / "l1")


# --- lies ------------------------------------------------------------------------------------------------------------


def rewrite(blocks, change):
    """The file with its second block changed, and sealed again by the builder."""
    file = BlockFile(blocks)
    first, second, third = file.read_blocks()
    lie = blocks.with_name("lie")
    write_blocks(lie, file.genesis, [first, change(second), third])
    return lie


def seal_again(block, data):
    """The block with the builder's seal over its header as it is now."""
    key = load_private_key(bytes.fromhex((data / "keys" / "builder.key").read_text()))
    return replace(block, seal=seal_header(key, block.header, 0))


@pytest.mark.parametrize("field", ["parent_hash", "timestamp", "receipts_root", "state_root"])
def test_a_lie_is_named(cli, blocks, data, field):
    """A sealed header with one wrong word: exit code 1, and the word that differs with its two values."""

    def change(block):
        value = getattr(block.header, field)
        other = value + 1 if isinstance(value, int) else bytes(31) + b"\x07"
        return seal_again(replace(block, header=replace(block.header, **{field: other})), data)

    result = cli("verify", APP, "--from", rewrite(blocks, change), "--json")
    assert (1, "") == (result.code, result.err)
    assert ["height", "seq", "field", "expected", "found"] == list(result.document)
    assert (2, None, to_camel_case(field)) == tuple(result.document[name] for name in ("height", "seq", "field"))
    assert result.document["expected"] != result.document["found"]


def test_a_changed_action_is_named_with_its_seq(cli, blocks, data):
    """An action that its sender did not sign is named by its seq; people see the same."""

    def change(block):
        records = [*block.records[:4], block.records[4].replace(b"Register", b"Registes"), *block.records[5:]]
        return seal_again(replace(block, records=tuple(records)), data)

    lie = rewrite(blocks, change)
    document = cli("verify", APP, "--from", lie, "--json").document
    assert (2, 14, "record") == (document["height"], document["seq"], document["field"])
    result = cli("verify", APP, "--from", lie)
    assert 1 == result.code
    assert "NOT right" in result.out
    assert "14" in result.out


# --- settlement ------------------------------------------------------------------------------------------------------


def test_settle(cli, data, blocks):
    """What the development verifier attests from a file settles, with the root that the sequencer has; once."""
    document = attest(cli, blocks, data)
    attestations = json.dumps(document).encode()
    settled = cli.ask("settle", APP, "--data", data, "--attestations", "-", stdin=attestations)
    assert (3, document["stateRoot"]) == (settled["settled"], settled["stateRoot"])
    assert [(1, 3, 1)] == [
        (batch["firstHeight"], batch["lastHeight"], batch["attestations"]) for batch in settled["batches"]
    ]
    again = cli.ask("settle", APP, "--data", data, "--attestations", "-", stdin=attestations)
    assert (3, []) == (again["settled"], again["batches"])
    assert [] == attest(cli, blocks, data)["attestations"]


def test_settle_in_two_steps(cli, data, tmp_path):
    """Later blocks settle behind the settled ones; a bare list of attestations will do."""
    for count in (30, 50):
        import_lines(cli, data, LINES[:count])
        document = attest(cli, data, data, own=tmp_path / "verifier")
        path = tmp_path / f"attestations{count}"
        path.write_text(json.dumps(document["attestations"]))
        settled = cli.ask("settle", APP, "--data", data, "--attestations", path)
        assert (document["verified"], document["stateRoot"]) == (settled["settled"], settled["stateRoot"])


def test_a_quorum_must_attest(cli, tmp_path):
    """With two of three verifiers needed, one alone does not settle, one twice neither, and two do."""
    data = tmp_path / "data"
    keys, addresses = [], []
    for number, secret in enumerate(VERIFIER_KEYS):
        keys.append(tmp_path / f"verifier{number}.key")
        keys[-1].write_text(f"0x{secret.hex()}\n")
        addresses += ["--verifier", compute_address(load_private_key(secret)).hex()]
    import_lines(cli, data, LINES[:10], *addresses)
    files = [tmp_path / f"attested{number}" for number in range(3)]
    for key, file in zip(keys, files, strict=True):
        file.write_text(json.dumps(attest(cli, data, data, key)))
    one = ["--attestations", files[0]]
    assert "1" in cli.refuse("settle", APP, "--data", data, *one)
    assert "1" in cli.refuse("settle", APP, "--data", data, *one, *one)
    assert 1 == cli.ask("settle", APP, "--data", data, *one, "--attestations", files[2])["settled"]


def test_attestations_that_do_not_fit(cli, data, tmp_path):
    """Another rollup's attestations, and texts that are none, settle nothing; the sentence says so."""
    import_lines(cli, tmp_path / "other", LINES[:30], "--block-size", 10)
    foreign = json.dumps(attest(cli, tmp_path / "other", tmp_path / "other")).encode()
    assert cli.refuse("settle", APP, "--data", data, "--attestations", "-", stdin=foreign)
    import_lines(cli, data, LINES[30:40])
    beyond = json.loads(json.dumps(attest(cli, data, data)))
    beyond["attestations"][0]["attestation"]["lastHeight"] = 9
    text = json.dumps(beyond).encode()
    assert "newest block is 4" in cli.refuse("settle", APP, "--data", data, "--attestations", "-", stdin=text)
    for text in (b"", b"[", b"{}", b"[1]", b'{"attestations": {}}', b"\xff", b"[" * 100_000, b'[{"attestation": 1}]'):
        sentence = cli.refuse("settle", APP, "--data", data, "--attestations", "-", stdin=text)
        assert "attestations" in sentence


def test_signed_heights_lie_beside_the_key(cli, tmp_path):
    """A verifier that keeps no store still knows what its key has signed: no second block of a height is attested."""
    data, twin = tmp_path / "data", tmp_path / "twin"
    import_lines(cli, data, [])
    shutil.copytree(data, twin)
    import_lines(cli, data, LINES[:30], "--block-size", 10)
    import_lines(cli, twin, LINES[:30], "--block-size", 15)
    key = data / "keys" / "verifier.key"
    assert 1 == len(attest(cli, data, data)["attestations"])
    assert (data / "keys" / "verifier.key.signed").is_dir()
    assert 1 == len(attest(cli, data, data)["attestations"])
    sentence = cli.refuse("verify", APP, "--from", twin, "--l1", data / "l1", "--key", key)
    assert "height 1: already signed" in sentence


def test_all_roots_agree(cli, tmp_path):
    """Sequencer, verifier and settlement end with the expected root of the wallets' file."""
    data = tmp_path / "data"
    imported = cli.ask("import", APP, WALLET_FILE, "--data", data)
    verified = attest(cli, data, data)
    settled = cli.ask("settle", APP, "--data", data, "--attestations", "-", stdin=json.dumps(verified).encode())
    roots = {imported["stateRoot"], verified["stateRoot"], settled["stateRoot"]}
    assert {EXPECTED["stateRoot"]} == roots
