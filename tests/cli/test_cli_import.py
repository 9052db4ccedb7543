"""`microrollup import`: every line is executed or refused by itself, and nothing that was acknowledged is lost."""

import json
import stat
import subprocess
import sys

import pytest

from apps.keystore import app
from apps.keystore.transitions import Register
from command_line import APP, EXPECTED, LINES, ROOT, WALLET_FILE, cli, import_lines
from microrollup.chain.record import DomainConfig
from microrollup.crypto.ecdsa import compute_address, load_private_key
from microrollup.deployment.importing import read_lines
from microrollup.execution.authentication import MAX_LINE_BYTES
from microrollup.primitives import MAX_ACTION_BYTES
from microrollup.testing.signing import sign_action

__all__ = ["cli"]

KEY = load_private_key(b"\x11" * 32)
OTHER_KEY = load_private_key(b"\x12" * 32)
SENDER = f"0x{compute_address(KEY).hex()}"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def make_register(nonce: int) -> Register:
    """An account that differs for each nonce."""
    return Register(b"\x01" * 32, b"\x02" * 32, nonce.to_bytes(32, "big"))


def sign(nonce: int, key=KEY, /, **changes: object) -> bytes:
    """One signed Register as a line, with top-level members replaced or added after signing."""
    return json.dumps(json.loads(sign_action(app, make_register(nonce), nonce, key)) | changes).encode() + b"\n"


def drop_sender(line: bytes) -> bytes:
    """The line as wallets give it, who do not state their sender."""
    signed = json.loads(line)
    del signed["sender"]
    return json.dumps(signed).encode() + b"\n"


def change_message(nonce: int, /, **changes: object) -> bytes:
    """The line with members of the message replaced or added after signing (None takes one away), or a `sender`."""
    outside = {name: changes.pop(name) for name in ("sender",) if name in changes}
    message = json.loads(sign(nonce))["message"] | changes
    return sign(nonce, message={name: value for name, value in message.items() if value is not None}, **outside)


def change_signature(nonce: int, change) -> bytes:
    """The line with the bytes of its signature changed."""
    signature = bytes.fromhex(json.loads(sign(nonce))["signature"][2:])
    return sign(nonce, signature=f"0x{change(signature).hex()}")


def raise_s(signature: bytes) -> bytes:
    """The other signature of the same message by the same key."""
    high = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + high.to_bytes(32, "big") + bytes([signature[64] ^ 27 ^ 28])


def compact(signature: bytes) -> bytes:
    """EIP-2098's 64 bytes of the same signature."""
    return signature[:32] + bytes([signature[32] | (signature[64] - 27) << 7]) + signature[33:64]


FOREIGN_DOMAIN = DomainConfig("another", "1", 31337, bytes(20))


def sign_foreign(nonce: int) -> bytes:
    """A Register that was signed for another domain, without its sender."""
    return drop_sender(sign_action(app, make_register(nonce), nonce, KEY, FOREIGN_DOMAIN))


FOREIGN = json.loads(sign_foreign(1))
LATE = {"altered message, no sender", "wrong domain, no sender"}
"""Who has signed them cannot be told, only that nobody knows them."""


BAD_LINES = {
    "wrong domain": (json.dumps(FOREIGN | {"sender": SENDER}).encode() + b"\n", "sender_mismatch"),
    "altered message": (change_message(1, salt="0x" + "77" * 32, sender=SENDER), "sender_mismatch"),
    "wrong domain, no sender": (json.dumps(FOREIGN).encode() + b"\n", "nonce_gap"),
    "altered message, no sender": (drop_sender(change_message(1, salt="0x" + "77" * 32)), "nonce_gap"),
    "signed by somebody else": (sign(1, OTHER_KEY, sender=SENDER), "sender_mismatch"),
    "unknown v": (change_signature(1, lambda raw: raw[:64] + b"\x1d"), "bad_signature"),
    "no point": (change_signature(1, lambda raw: b"\xff" * 32 + raw[32:]), "bad_signature"),
    "zero": (change_signature(1, lambda _: bytes(64) + b"\x1b"), "bad_signature"),
    "high s": (change_signature(1, raise_s), "high_s"),
    "truncated signature": (change_signature(1, lambda raw: raw[:63]), "wrong_length"),
    "long signature": (change_signature(1, lambda raw: raw + b"\0"), "wrong_length"),
    "empty signature": (sign(1, signature="0x"), "wrong_length"),
    "reused nonce": (sign(0), "duplicate"),
    "reused nonce, upper case": (sign(0, signature="0x" + json.loads(sign(0))["signature"][2:].upper()), "duplicate"),
    "reused nonce, v of 0 and 1": (
        change_signature(0, lambda raw: raw[:64] + bytes([raw[64] - 27])),
        "duplicate",
    ),
    "reused nonce, compact": (change_signature(0, compact), "duplicate"),
    "reused nonce, other text": (sign(0).replace(b": ", b" :\t"), "duplicate"),
    "reused nonce, other action": (
        sign_action(app, make_register(9), 0, KEY) + b"\n",
        "nonce_used",
    ),
    "nonce from the far future": (sign(5_000), "nonce_too_high"),
    "unknown type": (sign(1, type="Unregister"), "unknown_type"),
    "no type": (json.dumps({"message": {}, "signature": "0x"}).encode() + b"\n", "missing_member"),
    "type of another kind": (sign(1, type=7), "wrong_type"),
    "unknown member": (sign(1, tip=1), "unknown_member"),
    "unknown member of the message": (change_message(1, tip=1), "unknown_member"),
    "missing member of the message": (change_message(1, salt=None), "missing_member"),
    "missing nonce": (change_message(1, nonce=None), "missing_member"),
    "message of another kind": (sign(1, message=[]), "wrong_type"),
    "wrong length": (change_message(1, salt="0x" + "00" * 31), "wrong_length"),
    "no hex": (change_message(1, salt="zz" * 33), "bad_hex"),
    "odd hex": (change_message(1, salt="0x123"), "bad_hex"),
    "hex with spaces": (change_message(1, salt="0x" + "00 " * 32), "bad_hex"),
    "a number for bytes": (change_message(1, salt=5), "wrong_type"),
    "null": (sign(1).replace(b'"nonce": 1', b'"nonce": null'), "wrong_type"),
    "a boolean for an integer": (change_message(1, nonce=True), "wrong_type"),
    "an object for an integer": (change_message(1, nonce={}), "wrong_type"),
    "1.0": (change_message(1, nonce=1.0), "wrong_type"),
    "1e0": (sign(1).replace(b'"nonce": 1', b'"nonce": 1e0'), "wrong_type"),
    "-0": (sign(0).replace(b'"nonce": 0', b'"nonce": -0'), "wrong_type"),
    "leading zero": (sign(1).replace(b'"nonce": 1', b'"nonce": 01'), "not_json"),
    "leading zero in a string": (change_message(1, nonce="01"), "wrong_type"),
    "0X": (change_message(1, nonce="0X1"), "wrong_type"),
    "a plus sign": (change_message(1, nonce="+1"), "wrong_type"),
    "negative": (change_message(1, nonce=-1), "out_of_range"),
    "too large an integer": (change_message(1, nonce=2**64), "out_of_range"),
    "a huge integer": (sign(1).replace(b'"nonce": 1', b'"nonce": 1' + b"0" * 5_000), "out_of_range"),
    "duplicate member": (sign(1).replace(b'{"type"', b'{"type": "Update", "type"', 1), "duplicate_member"),
    "duplicate member of the message": (sign(1).replace(b'"nonce": 1', b'"nonce": 0, "nonce": 1'), "duplicate_member"),
    "duplicate member, escaped": (sign(1).replace(b'"nonce": 1', b'"nonce": 1, "n\\u006fnce": 1'), "duplicate_member"),
    "not JSON": (b"hello\n", "not_json"),
    "half a line": (sign(1)[:100] + b"\n", "not_json"),
    "two objects": (sign(1)[:-1] + sign(2), "not_json"),
    "no object": (b"[]\n", "not_json"),
    "NaN": (b"NaN\n", "not_json"),
    "empty": (b"\n", "not_json"),
    "blanks": (b"  \t\r\n", "not_json"),
    "a byte order mark": (b"\xef\xbb\xbf" + sign(1), "not_json"),
    "a control character": (b'{"type": "a\x01"}\n', "not_json"),
    "a lone surrogate": (sign(1, type="Register\ud800"), "unknown_type"),
    "invalid UTF-8": (sign(1).replace(b"Register", b"Regist\xff\xfe"), "invalid_utf8"),
    "too deep": (b"[" * 5_000 + b"\n", "too_deep"),
    "too long": (sign(1, tip="x" * MAX_ACTION_BYTES), "too_large"),
    "1 MB": (b"x" * 1_000_000 + b"\n", "too_large"),
    "1 MB of JSON": (sign(1, tip="x" * 1_000_000), "too_large"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines(cli, tmp_path, name):
    """A bad line is refused with its own code, and the line after it goes through; duplicates leave exit code 0."""
    line, error = BAD_LINES[name]
    result = cli(
        "import", APP, "-", "--data", tmp_path, "--workers", 0, "--json", stdin=b"".join([sign(0), line, sign(1)])
    )
    report = result.document
    assert (0 if error == "duplicate" else 1) == result.code
    assert "" == result.err
    assert [{"line": 1, "error": error}] == report["refusals"]
    assert (3, 2, 1) == (report["lines"], report["executed"], report["refused"])


def test_bad_lines_all_at_once(cli, tmp_path):
    """So it is if all bad lines come in one file, through worker processes: refusals come in the order of the lines."""
    lines = [sign(0)]
    for line, _ in BAD_LINES.values():
        lines += [line, sign(len(lines) // 2 + 1)]
    path = tmp_path / "actions.jsonl"
    path.write_bytes(b"".join(lines))
    report = cli.ask("import", APP, path, "--data", tmp_path / "data", "--workers", 2, code=1)
    assert (len(lines), len(BAD_LINES) + 1) == (report["lines"], report["executed"])
    assert list(range(1, len(lines), 2)) == [refusal["line"] for refusal in report["refusals"]]
    for refusal, (name, (_, error)) in zip(report["refusals"], BAD_LINES.items(), strict=True):
        if name not in LATE:
            assert refusal["error"] in {error, "duplicate", "nonce_used"}, name


def test_texts_that_mean_the_same_go_through(cli, tmp_path):
    """White space, the order of members, either case of hex, integers as text: one action, whatever its text."""
    first, second = json.loads(sign(0)), json.loads(sign(1))
    turned = dict(reversed(list(first.items())))
    turned["message"] = {**dict(reversed(list(first["message"].items()))), "nonce": "0x0"}
    second["message"] |= {"nonce": "1", "salt": "0x" + second["message"]["salt"][2:].upper()}
    lines = [b"\t " + json.dumps(turned, indent=1).replace("\n", " ").encode() + b" \r\n", json.dumps(second).encode()]
    report = import_lines(cli, tmp_path / "one", lines)
    assert (2, 2, []) == (report["lines"], report["executed"], report["refusals"])
    assert report["stateRoot"] == import_lines(cli, tmp_path / "two", [sign(0), sign(1)])["stateRoot"]


CUTS = [int(count) for count in EXPECTED["stateRootAfter"]]


@pytest.mark.parametrize("block_size", [1, 7, 100, 5_000])
def test_wallet_file(cli, tmp_path, block_size):
    """The wallets' file gives the expected roots after 100, 500, 1,000 and 2,000 lines, whatever the block size."""
    done = 0
    for count in CUTS:
        report = import_lines(cli, tmp_path, LINES[done:count], "--block-size", block_size)
        assert EXPECTED["stateRootAfter"][str(count)] == report["stateRoot"]
        rejected = len([line for line in EXPECTED["rejectedLines"] if done <= line < count])
        counts = [report[name] for name in ("executed", "rejected", "faulted", "refused")]
        assert [count - done - rejected, rejected, 0, 0] == counts
        done = count
    assert EXPECTED["stateRoot"] == report["stateRoot"]
    heights = [-(-(after - before) // block_size) for before, after in zip([0, *CUTS], CUTS, strict=False)]
    assert sum(heights) == report["height"]


def test_wallet_file_in_workers(cli, tmp_path):
    """So it does from the file itself, authenticated by worker processes; and again, it is all duplicates."""
    report = cli.ask("import", APP, WALLET_FILE, "--data", tmp_path, "--workers", 2)
    assert EXPECTED["stateRoot"] == report["stateRoot"]
    again = cli.ask("import", APP, WALLET_FILE, "--data", tmp_path)
    assert [{"line": line, "error": "duplicate"} for line in range(2_000)] == again["refusals"]
    assert (report["stateRoot"], report["height"]) == (again["stateRoot"], again["height"])


def test_gaps_are_filled(cli, tmp_path):
    """Actions that come before their nonce's turn wait for it, in the file's further course."""
    order = [3, 1, 2, 0, 5, 4]
    report = import_lines(cli, tmp_path, [sign(nonce) for nonce in order])
    assert (6, []) == (report["executed"], report["refusals"])


def test_gaps_that_stay_are_refused(cli, tmp_path):
    """What still waits at the end is refused, and may be imported again once the gap is filled."""
    report = import_lines(cli, tmp_path, [sign(1), sign(2), sign(40)], code=1)
    expected = [(0, "nonce_gap"), (1, "nonce_gap"), (2, "nonce_too_high")]
    assert expected == [(refusal["line"], refusal["error"]) for refusal in report["refusals"]]
    assert 0 == report["height"]
    assert 3 == import_lines(cli, tmp_path, [sign(0), sign(1), sign(2)])["executed"]


def test_nothing_to_import(cli, tmp_path):
    """An empty file makes the store and no block."""
    report = import_lines(cli, tmp_path, [])
    assert (0, 0, []) == (report["lines"], report["height"], report["refusals"])


def test_people_see_the_first_refusals(cli, tmp_path):
    """Without --json the report is for people: counts, the first refusals with their reasons, and how many more."""
    result = cli("import", APP, "-", "--data", tmp_path, "--workers", 0, stdin=b"?\n" * 25 + sign(0))
    assert 1 == result.code
    assert 20 == result.out.count("not_json")
    assert "and 5 more" in result.out


def test_acknowledgements_are_written(cli, tmp_path):
    """`--acks` appends line and seq of each action once it is durable, and nothing of those that were refused."""
    acks = tmp_path / "acks"
    import_lines(cli, tmp_path / "data", [sign(0), b"?\n", sign(1)], "--acks", acks, code=1)
    assert "0 0\n2 1\n" == acks.read_text()
    import_lines(cli, tmp_path / "data", [sign(1), sign(2)], "--acks", acks)
    assert "0 0\n2 1\n1 2\n" == acks.read_text()


def test_keys_are_private(cli, tmp_path):
    """The keys that a first import makes are readable by their owner only, and stay the same."""
    import_lines(cli, tmp_path, [])
    paths = [tmp_path / "keys" / name for name in ("builder.key", "verifier.key")]
    texts = [path.read_text() for path in paths]
    assert [0o600, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in paths]
    assert 0o700 == stat.S_IMODE(paths[0].parent.stat().st_mode)
    assert 2 == len(set(texts))
    import_lines(cli, tmp_path, [sign(0)])
    assert texts == [path.read_text() for path in paths]


def test_verifiers_of_ones_own(cli, tmp_path):
    """With --verifier no development key is made, and the quorum is more than half."""
    addresses = [f"0x{digit * 40}" for digit in "abc"]
    options = [part for address in addresses for part in ("--verifier", address)]
    import_lines(cli, tmp_path, [], *options)
    assert not (tmp_path / "keys" / "verifier.key").exists()
    import_lines(cli, tmp_path, [], *options, "--quorum", 2)
    assert "the rollup exists already, with 3 verifiers and a quorum of 2" in cli.refuse(
        "import", APP, "-", "--data", tmp_path, *options, "--quorum", 3
    )


def test_a_lost_or_foreign_builder_key(cli, tmp_path):
    """Without the builder's key, or with another one, nothing is imported."""
    import_lines(cli, tmp_path, [sign(0)])
    path = tmp_path / "keys" / "builder.key"
    path.write_text("77" * 32)
    assert "is not the rollup's builder" in cli.refuse("import", APP, "-", "--data", tmp_path, stdin=sign(1))
    path.write_text("00" * 32)
    assert "holds no private key" in cli.refuse("import", APP, "-", "--data", tmp_path, stdin=sign(1))
    path.unlink()
    assert "is missing" in cli.refuse("import", APP, "-", "--data", tmp_path, stdin=sign(1))


def test_a_store_that_was_never_finished(cli, tmp_path):
    """A first import that ended at any point of making the directory is simply done again."""
    import_lines(cli, tmp_path / "whole", [sign(0)])
    for lost in (["data.mdb"], ["data.mdb", "leaves"], ["data.mdb", "leaves", "nodes", "writer.lock"]):
        directory = tmp_path / str(len(lost))
        import_lines(cli, directory, [])
        for name in lost:
            (directory / name).unlink()
        script = "import lmdb, sys; lmdb.open(sys.argv[1], max_dbs=20).open_db(b'log')"
        subprocess.run([sys.executable, "-c", script, directory], check=True)
        assert 1 == import_lines(cli, directory, [sign(0)])["executed"]


def test_a_store_that_was_lost_is_not_begun_again(cli, tmp_path):
    """If L1 has settled blocks and the store is gone, another history is not begun in its place."""
    import_lines(cli, tmp_path, [sign(0)])
    l1, key = tmp_path / "l1", tmp_path / "keys" / "verifier.key"
    verified = cli("verify", APP, "--from", tmp_path, "--l1", l1, "--key", key, "--json")
    cli.ask("settle", APP, "--data", tmp_path, "--attestations", "-", stdin=verified.out.encode())
    (tmp_path / "data.mdb").unlink()
    assert "has settled blocks" in cli.refuse("import", APP, "-", "--data", tmp_path)


# --- senders ---------------------------------------------------------------------------------------------------------


def test_most_senders_are_unknown(cli, tmp_path):
    """Lines for another domain give strangers' addresses: a warning says so where no `sender` lets them be refused."""
    foreign = [sign_foreign(nonce) for nonce in range(4)]
    result = cli("import", APP, "-", "--data", tmp_path, "--workers", 0, "--json", stdin=b"".join(foreign))
    assert (1, 1, 4) == (result.document["executed"], result.code, result.document["unknownSenders"])
    assert result.err.startswith("warning: most senders are unknown: 4 of 4 lines have no `sender`")
    assert 1 == result.err.count("\n")
    stated = [json.dumps(json.loads(sign_foreign(nonce)) | {"sender": SENDER}).encode() + b"\n" for nonce in range(4)]
    report = import_lines(cli, tmp_path, stated, code=1)
    assert ({"sender_mismatch"}, 0) == ({refusal["error"] for refusal in report["refusals"]}, report["unknownSenders"])


def test_senders_that_are_known(cli, tmp_path):
    """One new sender among its own actions is nothing to warn of, nor is anybody who has acted before."""
    assert 1 == import_lines(cli, tmp_path, [drop_sender(sign(0)), drop_sender(sign(1))])["unknownSenders"]
    assert 0 == import_lines(cli, tmp_path, [drop_sender(sign(2))])["unknownSenders"]
    assert 0 == import_lines(cli, tmp_path, [sign(0, OTHER_KEY)])["unknownSenders"]


def test_a_single_new_sender(cli, tmp_path):
    """One line by somebody new is no reason to warn, though its sender is counted."""
    assert 1 == import_lines(cli, tmp_path, [drop_sender(sign(0))])["unknownSenders"]


# --- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\x0b\x0c\x1c\x85\xe2\x80\xa8\n", [b"a\r", b"b\x0b\x0c\x1c\x85\xe2\x80\xa8"]),
        (b"\n\na\n\n", [b"", b"", b"a", b""]),
        (b"x" * MAX_LINE_BYTES + b"\ny", [b"x" * MAX_LINE_BYTES, b"y"]),
        (b"x" * (MAX_LINE_BYTES + 1) + b"\ny", [b"x" * (MAX_LINE_BYTES + 1), b"y"]),
        (b"x" * (MAX_LINE_BYTES + 2) + b"\ny", [b"x" * (MAX_LINE_BYTES + 1), b"y"]),
        (b"x" * (3 * MAX_LINE_BYTES) + b"\n\ny", [b"x" * (MAX_LINE_BYTES + 1), b"", b"y"]),
        (b"x" * (3 * MAX_LINE_BYTES), [b"x" * (MAX_LINE_BYTES + 1)]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path, text, lines):
    """Lines end at 0x0A and nowhere else; the last one needs no end; of a long one the beginning is kept."""
    path = tmp_path / "lines"
    path.write_bytes(text)
    with path.open("rb") as file:
        assert lines == list(read_lines(file))


def test_an_endless_line_takes_no_memory():
    """A line of a gigabyte is read in bounded memory, and is one refusal."""
    script = (
        "import resource, sys; from microrollup.deployment.importing import read_lines\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))\n"
        "with open('/dev/zero', 'rb') as zeros:\n"
        "    class Source:\n"
        "        left = 1 << 30\n"
        "        def readline(self, limit):\n"
        "            count = min(limit, self.left); self.left -= count\n"
        "            return zeros.read(count)\n"
        "    print([len(line) for line in read_lines(Source())])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert f"[{MAX_LINE_BYTES + 1}]\n" == done.stdout
