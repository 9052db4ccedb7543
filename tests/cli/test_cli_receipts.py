"""`microrollup check-receipt`: a file proves its receipt, or the command says why not."""

import json

import pytest

from apps.keystore.transitions import Register
from client_server import serve
from command_line import cli
from kernel_fixtures import BUILDER, make_key
from microrollup.chain.block import compute_block_hash
from microrollup.chain.receipt_proof import receipt_proof_to_json
from microrollup.client import SyncClient
from receipt_proof_fixtures import BUILDER as SEALER
from receipt_proof_fixtures import DOMAIN, ROLLUP_ID, acknowledge, make_proof, replace, seal

__all__ = ["cli"]

HASH = compute_block_hash(make_proof().header)
KNOWN = (
    "--rollup-id", ROLLUP_ID.hex(), "--builder", f"0x{SEALER.hex()}",
    "--block-hash", HASH.hex(), "--chain-id", DOMAIN.chain_id, "--inbox", DOMAIN.verifying_contract.hex(),
)  # fmt: skip


def write(path, proof):
    path.write_text(json.dumps(receipt_proof_to_json(proof)))
    return path


def test_a_receipt_that_is_proven(cli, tmp_path):
    """What the file proves is shown, for programs and for people; what is not known is listed."""
    file = write(tmp_path / "receipt.json", make_proof(1))
    document = cli.ask("check-receipt", file, *KNOWN)
    assert (True, True, 41, 9, "rejected", "no", []) == tuple(
        document[name] for name in ("valid", "acknowledged", "seq", "height", "status", "reason", "unchecked")
    )
    assert (f"0x{HASH.hex()}", f"0x{ROLLUP_ID.hex()}") == (document["blockHash"], document["rollupId"])
    assert 4 == len(cli.ask("check-receipt", file)["unchecked"])
    shown = cli("check-receipt", file)
    assert (0, "") == (shown.code, shown.err)
    assert "Proven:" in shown.out
    assert "Not checked:" in shown.out
    assert "Not checked:" not in cli("check-receipt", file, *KNOWN).out


def test_the_answer_of_a_node_as_it_is(cli, tmp_path):
    """The whole answer of `rollup_getReceiptProof` is a file too."""
    answer = {"jsonrpc": "2.0", "id": 1, "result": receipt_proof_to_json(make_proof())}
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer))
    assert cli.ask("check-receipt", file)["valid"]


def fail(cli, file, *options):
    """The document of a check that fails."""
    result = cli("check-receipt", file, *options, "--json")
    assert (1, "") == (result.code, result.err)
    assert not result.document["valid"]
    shown = cli("check-receipt", file, *options)
    assert 1 == shown.code
    assert "NOT proven" in shown.out
    return result.document["error"]


FOREIGN = {
    "ForeignRollup": ("--rollup-id", "00" * 32),
    "WrongSeal": ("--builder", "00" * 20),
    "WrongBlock": ("--block-hash", "00" * 32),
    "WrongOperator": ("--chain-id", 1, "--inbox", DOMAIN.verifying_contract.hex()),
}


@pytest.mark.parametrize("error", FOREIGN)
def test_what_is_known_must_be_what_is_shown(cli, tmp_path, error):
    """Another rollup, builder, block or chain than the file's."""
    assert error == fail(cli, write(tmp_path / "receipt.json", make_proof()), *FOREIGN[error])


def test_forgeries(cli, tmp_path):
    """A count that lies, a foreign seal's acknowledgement, another receipt acknowledged."""
    proof = make_proof(2)
    file = tmp_path / "receipt.json"
    assert "ProofError" == fail(cli, write(file, replace(proof, count=6)))
    assert "WrongOperator" == fail(cli, write(file, replace(proof, seal=seal(proof.header, make_key("other")))))
    assert "ReceiptMismatch" == fail(cli, write(file, replace(proof, acknowledgement=acknowledge(3))))


def test_what_is_no_receipt(cli, tmp_path):
    """Files that hold something else, hold too much, or are not there."""
    file = tmp_path / "receipt.json"
    for content in (
        b"",
        b"{}",
        b"[" * 10_000,
        b"\xff",
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"a":1,"a":2}',
        b" " * (1 << 21),
    ):
        file.write_bytes(content)
        assert cli.refuse("check-receipt", file)
    assert "No such file" in cli.refuse("check-receipt", tmp_path / "nothing")
    write(file, make_proof())
    assert "--chain-id" in cli.refuse("check-receipt", file, "--inbox", "00" * 20)
    assert "not 32 bytes" in cli.refuse("check-receipt", file, "--rollup-id", "00")


def test_a_node_s_receipt(cli, tmp_path):
    """What a client was given by a node is proven offline."""
    with serve() as node, SyncClient(node.url) as client:
        ack = client.submit(Register(b"\1" * 32, b"\2" * 32, b"\3" * 32), make_key("alice"))
        proof = client.get_receipt_proof(ack.action_hash)
    document = cli.ask("check-receipt", write(tmp_path / "receipt.json", proof), "--builder", BUILDER.hex())
    assert (f"0x{ack.action_hash.hex()}", "executed", "Registered") == (
        document["actionHash"],
        document["status"],
        document["events"][0]["name"],
    )
