"""What both demonstrations have in common: the wallets' actions, their import, and the proofs at the end."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.text import Text

from microrollup.cli.importing import render_report
from microrollup.cli.output import Output, show_progress
from microrollup.cli.proving import render_proof
from microrollup.codec.json import hex0x
from microrollup.crypto.merkle.indexed import verify_exclusion, verify_inclusion
from microrollup.declaration.rollup import load_rollup
from microrollup.deployment.directory import VerifierChoice, open_state
from microrollup.deployment.importing import ImportReport, import_actions, read_lines
from microrollup.deployment.workers import choose_workers
from microrollup.ledger.proof_json import proof_to_json
from microrollup.ledger.reading import get_field, prove_state

__all__ = ["APP", "Demo"]

APP: Final = "keystore"
_LINES_FILE: Final = "wallet-actions.jsonl"
_EXPECTED_FILE: Final = "wallet-actions.expected.json"


class _Expected(msgspec.Struct, frozen=True, rename="camel"):
    """What another program, which shares no code with this one, computed for the same file."""

    lines: int
    state_root: str
    sample_accounts: list[_Account]
    sample_absent_keys: list[_Account]


class _Account(msgspec.Struct, frozen=True):
    """A key that is there, or is not."""

    key: str


class Demo:
    """One run: the directory it works in, and where it tells what it does."""

    def __init__(self, directory: Path, output: Output) -> None:
        self.directory = directory
        self.output = output
        self.rollup = load_rollup(APP)
        data = resources.files(type(self.rollup.genesis).__module__.rpartition(".")[0]) / "data"
        self.lines_file = data / _LINES_FILE
        self.expected = msgspec.json.decode((data / _EXPECTED_FILE).read_bytes(), type=_Expected)

    def import_actions(self, block_size: int, number: str = "1") -> ImportReport:
        """The sequencer's part: authenticate, execute, log, acknowledge, seal."""
        what = "Actions that two wallet libraries signed are authenticated, executed and logged."
        self.tell(f"{number}. Import", what)
        with (
            resources.as_file(self.lines_file) as path,
            path.open("rb") as file,
            show_progress("importing", self.expected.lines) as advance,
        ):
            report = import_actions(
                APP,
                self.directory,
                read_lines(file),
                verifiers=VerifierChoice(),
                block_size=block_size,
                workers=choose_workers(None, path),
                on_lines=advance,
            )
        self.output.tell(render_report(report)[0])
        return report

    def prove(
        self, settled_root: bytes, number: str = "4", store: Path | None = None, present_key: bytes | None = None
    ) -> dict[str, Any]:
        """A wallet's part: one account that is there, one that is not, both checked against the settled root alone."""
        what = "Against the settled root, anybody checks that an account is there, or that it is not."
        self.tell(f"{number}. Prove", what)
        field = get_field(self.rollup, None)
        present_sample, absent_sample = self.expected.sample_accounts[0], self.expected.sample_absent_keys[2]
        keys = (present_key or bytes.fromhex(present_sample.key[2:]), bytes.fromhex(absent_sample.key[2:]))
        with open_state(store or self.directory, self.rollup) as (environment, tree):
            present, absent = (prove_state(environment, tree, field, key) for key in keys)
        verify_inclusion(settled_root, present.tree_key, present.value, present.proof)
        verify_exclusion(settled_root, absent.tree_key, absent.proof)
        document: dict[str, Any] = {}
        for name, proof in (("inclusion", present), ("exclusion", absent)):
            title = Text(f"{name} of account {hex0x(proof.key)}", style="bold")
            self.output.tell(title, *render_proof(field, proof), "")
            document[name] = proof_to_json(field, proof)
        return document

    def tell(self, step: str, what: str) -> None:
        """A step begins."""
        self.output.tell("", Text.assemble((step, "bold cyan"), f"  {what}"), "")
