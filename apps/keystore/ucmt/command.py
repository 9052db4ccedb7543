"""The command line: trees, proofs, signatures, and what the contracts would say of them, without a chain."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import click
from msgspec.structs import replace

from microrollup.cli.output import Command, Group, Output, json_option, make_facts, make_table
from microrollup.cli.parameters import PATH, hex_bytes
from microrollup.cli.run import EXIT_FAILED, run_command
from microrollup.codec.abi import compile_arguments_decoder
from microrollup.codec.json import hex0x, read_hex
from microrollup.codec.json_text import parse_json
from microrollup.crypto.ecdsa import PrivateKey
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.webauthn import compute_challenge
from microrollup.errors import DecodeError, RefusedError, UsageError
from microrollup.keys.files import read_key

from .judging import judge_update
from .nodes import COSIGN_CONFIG, MULTISIG_CONFIG, VERIFIER_BYTES, encode_proof
from .signatures import encode_cosigned, encode_webauthn, sign_ecdsa, sign_multisig
from .trees import PairTree, grow_tree
from .updates import RootUpdate, compute_update_message, encode_handle_updates, read_update, update_to_json
from .verifiers import JUDGES, ContractReverts, Judge

__all__ = ["main", "ucmt_group"]

_NAME: Final = f"python -m {__package__}"
_WITH_CLIENT: Final = ("deploy", "relay", "relay-status")
_MAX_FILE_BYTES: Final = 1 << 20
_KINDS: Final = click.Choice(sorted(JUDGES))
_decode_multisig: Final = compile_arguments_decoder(MULTISIG_CONFIG)
_decode_cosign: Final = compile_arguments_decoder(COSIGN_CONFIG)


class _Commands(Group):
    """The commands here, and those that need an Ethereum client, which are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_WITH_CLIENT]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _WITH_CLIENT:
            return super().get_command(ctx, cmd_name)
        try:
            module = importlib.import_module(f"{__package__}.relay.command")
        except ImportError as error:
            return _make_missing(cmd_name, f"{error}: this needs `pip install 'microrollup[ethereum]'`")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command


def _make_missing(name: str, reason: str) -> click.Command:
    """What stands for a command that cannot be imported: it says why."""

    def refuse(arguments: tuple[str, ...]) -> None:
        del arguments
        raise UsageError(reason)

    parameters: list[click.Parameter] = [click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)]
    settings = {"ignore_unknown_options": True}
    return click.Command(name, settings, refuse, parameters, help="Needs an Ethereum client.", add_help_option=False)


@click.group("ucmt", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def ucmt_group() -> None:
    """Trees, updates and signatures for keystores with Stackup's interface.

    A NODE is 0x-hex: a verifier's address (20 bytes) and its config. FILE is an update as a JSON object; - is standard
    input.
    """


def _read_node(text: str) -> bytes:
    try:
        node = read_hex(text, "NODE")
    except RefusedError as error:
        raise click.BadParameter(str(error)) from None
    if len(node) < VERIFIER_BYTES:
        raise click.BadParameter(f"a node has at least {VERIFIER_BYTES} bytes, not {len(node)}")
    return node


def _grow(nodes: Sequence[bytes]) -> PairTree:
    return grow_tree([keccak256(node) for node in nodes])


_nodes_argument: Final = click.argument("nodes", metavar="NODE...", nargs=-1, required=True, type=_read_node)
_chain_option: Final = click.option(
    "--chain-id", type=click.IntRange(0), default=0, metavar="N", help="The chain, for an update with useChainId."
)
_file_argument: Final = click.argument("file", type=click.File("rb"))


@click.command("tree", cls=Command)
@_nodes_argument
@json_option
def tree_command(nodes: tuple[bytes, ...], output: Output) -> None:
    """Show the tree of some nodes: its root, and each node's leaf and proof.

    With --json, `dump` is what OpenZeppelin's SimpleMerkleTree.load takes.
    """
    tree = _grow(nodes)
    rows = [
        {
            "node": hex0x(node),
            "leaf": hex0x(leaf),
            "proof": [hex0x(sibling) for sibling in tree.prove(index)],
        }
        for index, (node, leaf) in enumerate(zip(nodes, tree.leaves, strict=True))
    ]
    table = make_table("node", "leaf", "siblings")
    for row in rows:
        table.add_row(str(row["node"]), str(row["leaf"]), str(len(row["proof"])))
    output.show(
        {"root": hex0x(tree.root), "nodes": rows, "dump": tree.dump()},
        make_facts({"root": hex0x(tree.root)}),
        "",
        table,
    )


@click.command("prove", cls=Command)
@_nodes_argument
@click.option("--index", type=click.IntRange(0), required=True, metavar="I", help="The node to prove, counted from 0.")
@json_option
def prove_command(nodes: tuple[bytes, ...], index: int, output: Output) -> None:
    """Prove that the tree of some nodes has one of them. `encoded` is what actions carry."""
    tree = _grow(nodes)
    siblings = tree.prove(index)
    document = {
        "root": hex0x(tree.root),
        "node": hex0x(nodes[index]),
        "leaf": hex0x(tree.leaves[index]),
        "proof": [hex0x(sibling) for sibling in siblings],
        "encoded": hex0x(encode_proof(siblings)),
    }
    output.show(document, make_facts({**document, "proof": "\n".join(map(hex0x, siblings)) or "no siblings"}))


@click.command("sign", cls=Command)
@_file_argument
@click.option("--kind", type=_KINDS, required=True, help="What the node's verifier is.")
@click.option("--key", "keys", type=PATH, multiple=True, metavar="FILE", help="An Ethereum key's file; again for more.")
@click.option("--assertion", type=PATH, metavar="FILE", help="What a passkey answered to `challenge`, as JSON.")
@click.option("--registered", type=_read_node, metavar="NODE", help="The node that an update without proof means.")
@click.option("--next", "is_next", is_flag=True, help="Sign for nextNode, not for node.")
@_chain_option
@json_option
def sign_command(
    file: BinaryIO,
    kind: str,
    keys: tuple[Path, ...],
    assertion: Path | None,
    registered: bytes | None,
    is_next: bool,
    chain_id: int,
    output: Output,
) -> None:
    """Sign an update: the same object comes out as `update`, with data (or nextData) in it.

    Without keys and assertion, only the message is shown, and the challenge for a passkey. An assertion is
    {"authenticatorData", "clientDataJSON", "signature"} in 0x-hex, as navigator.credentials.get gives them.
    """
    update = _read_update(file)
    message = compute_update_message(update, chain_id)
    facts = {"message": hex0x(message), "challenge": compute_challenge(message)}
    if keys or assertion is not None:
        node = update.next_node if is_next else update.node if update.proof is not None else registered or b""
        if len(node) < VERIFIER_BYTES:
            raise UsageError("the node that signs is not there: nextNode with --next, else node, or --registered NODE")
        data = _sign(kind, [read_key(key) for key in keys], assertion, node[VERIFIER_BYTES:], message)
        update = replace(update, **{"next_data" if is_next else "data": data})
        facts["nextData" if is_next else "data"] = hex0x(data)
    output.show({**facts, "update": update_to_json(update)}, make_facts(dict(facts)))


@click.command("verify", cls=Command)
@_file_argument
@click.option(
    "--verifier", "pairs", multiple=True, required=True, metavar="KIND=ADDRESS",
    help=f"Where a verifier is, KIND one of {', '.join(sorted(JUDGES))}; again for more.",
)  # fmt: skip
@click.option("--root", type=hex_bytes(32), metavar="HASH", help="The account's current root [default: refHash].")
@click.option(
    "--sequence", type=click.IntRange(0), default=0, metavar="N", help="The next sequence of the nonce's key."
)
@click.option("--registered", type=_read_node, metavar="NODE", help="The node that an update without proof means.")
@_chain_option
@json_option
def verify_command(
    file: BinaryIO,
    pairs: tuple[str, ...],
    root: bytes | None,
    sequence: int,
    registered: bytes | None,
    chain_id: int,
    output: Output,
) -> int:
    """Say what the keystore contract would do with an update, and give its calldata.

    Exit code 1: it would revert, or a verifier would answer that the update is not signed.
    """
    update = _read_update(file)
    verifiers = dict(_read_pair(pair) for pair in pairs)
    reverts, reason = False, ""
    try:
        success = judge_update(
            update, verifiers, root=root, sequence=sequence, chain_id=chain_id, registered=registered or b""
        )
    except ContractReverts as error:
        success, reverts, reason = False, True, str(error)
    document = {
        "success": success,
        "reverts": reverts,
        "reason": reason if reverts else "" if success else "a verifier answers that the update is not signed",
        "message": hex0x(compute_update_message(update, chain_id)),
        "calldata": hex0x(encode_handle_updates([update])),
    }
    output.show(document, make_facts(dict(document)))
    return 0 if success else EXIT_FAILED


def _read_json(file: BinaryIO) -> object:
    raw = file.read(_MAX_FILE_BYTES + 1)
    if len(raw) > _MAX_FILE_BYTES:
        raise UsageError(f"a file has at most {_MAX_FILE_BYTES} bytes")
    return parse_json(raw)


def _read_update(file: BinaryIO) -> RootUpdate:
    """The update of an object, or of the member `update` of what `sign` shows."""
    document = _read_json(file)
    if isinstance(document, dict) and "update" in document:
        document = document["update"]
    return read_update(document)


def _read_pair(text: str) -> tuple[bytes, Judge]:
    kind, _, address = text.partition("=")
    if kind not in JUDGES:
        raise UsageError(f"{text!r} is not KIND=ADDRESS, with a kind of {', '.join(sorted(JUDGES))}")
    return hex_bytes(VERIFIER_BYTES)(address), JUDGES[kind]


def _sign(kind: str, keys: Sequence[PrivateKey], assertion: Path | None, config: bytes, message: bytes) -> bytes:
    """The data that a verifier takes. Raises `UsageError` unless the signers are those of its kind."""
    if (len(keys) == 0) != (kind == "webauthn") or (assertion is None) != (kind in ("ecdsa", "multisig")):
        raise UsageError(f"{kind} is signed by {_SIGNERS[kind]}")
    if kind != "multisig" and len(keys) > 1:
        raise UsageError(f"{kind} is signed by {_SIGNERS[kind]}")
    try:
        if kind == "multisig":
            return sign_multisig(keys, _decode_multisig(config)[1], message)
        point = b"".join(_decode_cosign(config)[1:]) if kind == "cosign" else config
    except DecodeError as error:
        raise UsageError(f"the node's config is not that of {kind}: {error}") from None
    if assertion is None:
        return sign_ecdsa(keys[0], message)
    encoded = _read_assertion(assertion, point)
    return encoded if kind == "webauthn" else encode_cosigned(sign_ecdsa(keys[0], message), encoded)


_SIGNERS: Final = {
    "ecdsa": "one --key",
    "multisig": "one --key or more",
    "webauthn": "an --assertion",
    "cosign": "one --key and an --assertion",
}


def _read_assertion(path: Path, point: bytes) -> bytes:
    with path.open("rb") as file:
        document = _read_json(file)
    names = ("authenticatorData", "clientDataJSON", "signature")
    if not isinstance(document, dict) or set(document) != set(names):
        raise UsageError(f"{path} is not an object with {', '.join(names)}")
    authenticator_data, client_data_json, signature = [read_hex(document[name], name) for name in names]
    return encode_webauthn(point, authenticator_data, client_data_json, signature)


for _command in (tree_command, prove_command, sign_command, verify_command):
    ucmt_group.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own by default); the exit code. Raises nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(ucmt_group, _NAME, given or ["--help"])
