"""An app's code, checked as it is when a ledger opens it."""

from __future__ import annotations

import msgspec

from microrollup.declaration.rollup import load_rollup
from microrollup.guard.lint import LintFinding

__all__ = ["CheckedApp", "check_app"]


class CheckedApp(msgspec.Struct, frozen=True):
    """What the lint says of an app."""

    modules: list[str]
    """The modules that count, by name."""
    findings: tuple[LintFinding, ...]
    allow: tuple[str, ...]
    """Rules that the app answers for."""
    stf_id: bytes | None
    """32 bytes; None if code is refused."""


def check_app(app: str) -> CheckedApp:
    """Load an app and lint its modules. Raises `UsageError`, and `DeclarationError` for code without an identity."""
    rollup = load_rollup(app)
    findings = rollup.findings
    is_clean = all(finding.rule in rollup.allow for finding in findings)
    return CheckedApp(sorted(rollup.trees), findings, rollup.allow, rollup.stf_id if is_clean else None)
