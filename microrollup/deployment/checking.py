"""An app's code, checked as it is when a ledger opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from microrollup.codec.json import hex0x
from microrollup.declaration.query import load_methods, load_reads, require_distinct
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import UsageError
from microrollup.guard.lint import LintFinding
from microrollup.system import write_whole

__all__ = ["CheckedApp", "check_app", "pin_versions"]

MAX_PIN_BYTES: Final = 1 << 20


class CheckedApp(msgspec.Struct, frozen=True):
    """What the lint says of an app."""

    modules: list[str]
    """The modules that count, by name."""
    findings: tuple[LintFinding, ...]
    allow: tuple[str, ...]
    """Rules that the app answers for."""
    stf_id: bytes | None
    """32 bytes; None if code is refused."""
    versions: dict[str, bytes]
    """Version -> stfId of those before this one, and of this one if it has one; the oldest first."""


def check_app(app: str) -> CheckedApp:
    """Load an app, with all its methods if it has sets of them, and lint its modules.

    Raises `UsageError`, and `DeclarationError` for code without an identity and for methods of one name.
    """
    rollup = load_rollup(app)
    if rollup.method_sets:
        require_distinct(load_reads(rollup), load_methods(rollup, tuple(rollup.method_sets)))
    findings = rollup.findings
    is_clean = all(finding.rule in rollup.allow for finding in findings)
    versions = {each.version: each.stf_id for each in (rollup.versions if is_clean else rollup.versions[:-1])}
    return CheckedApp(sorted(rollup.trees), findings, rollup.allow, rollup.stf_id if is_clean else None, versions)


def pin_versions(checked: CheckedApp, path: Path) -> list[str]:
    """Compare the ids of an app's versions with those in a file (a JSON object, version -> stfId), and add the ones
    that it lacks; it is made if it does not exist. What has changed since, in words; then the file is left as it is.

    Raises `UsageError` for a file that holds something else.
    """
    try:
        raw = path.read_bytes()[: MAX_PIN_BYTES + 1]
        pinned = msgspec.json.decode(raw, type=dict[str, str])
    except FileNotFoundError:
        pinned = {}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a file of pinned versions: {error}") from None
    found = {version: hex0x(stf_id) for version, stf_id in checked.versions.items()}
    changed = [
        f"version {version} was {stf_id} and is {found.get(version, 'not here any more')}"
        for version, stf_id in pinned.items()
        if found.get(version) != stf_id
    ]
    if not changed and found != pinned:
        with write_whole(path) as file:
            file.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return changed
