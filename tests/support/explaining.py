"""Why an account does not take an operation: what Python's `explain` and the npm package's say, which must agree."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from apps.keystore.proofs import compute_account_tree_key
from apps.keystore.smart_account import UserOperation, encode_user_operation_json
from apps.keystore.smart_account.explain import explain
from apps.keystore.smart_account.judging import Explanation
from apps.keystore.smart_account.opening import ShownKey
from microrollup.codec.json import hex0x
from microrollup.testing.anvil import Anvil
from npm import install_npm
from paths import ROOT
from waiting import read_line

__all__ = ["explain_twice"]

_PACKAGE: Final = ROOT / "apps" / "keystore" / "sdk"
_CLIENT: Final = ROOT / "microrollup" / "client" / "js"


def explain_twice(
    operation: UserOperation, anvil: Anvil, *, shown: ShownKey | None = None, chain_ids: Sequence[int] = ()
) -> Explanation:
    """What Python says; the package of npm finds the same cause. Skips the test where npm cannot bring it."""
    found = explain(operation, anvil, shown=shown, chain_ids=chain_ids)
    question: dict[str, Any] = {
        "chain": anvil.url, "operation": encode_user_operation_json(operation), "chainIds": list(chain_ids)
    }  # fmt: skip
    if shown is not None:
        tree_key = compute_account_tree_key(shown.key)
        question["shown"] = {
            "exists": shown.exists, "value": hex0x(getattr(shown, "value", b"")), "treeKey": hex0x(tree_key)
        }  # fmt: skip
    answer = _ask(question)
    assert found.cause == answer.get("cause"), (found, answer)
    assert answer["what"]
    assert answer["remedy"]
    return found


def _ask(question: dict[str, Any]) -> dict[str, str]:
    judge = _start_judge()
    assert judge.stdin is not None
    judge.stdin.write(json.dumps(question) + "\n")
    judge.stdin.flush()
    answer: dict[str, str] = json.loads(read_line(judge))
    return answer


@cache
def _start_judge() -> subprocess.Popen[str]:
    """One for all tests of a process. It ends with its standard input, which ends with this process."""
    install_npm(_CLIENT)  # whose sources the judge is built of
    install_npm(_PACKAGE, then=("node_modules/esbuild/install.js",))
    return subprocess.Popen(
        ["node", "test/judge.mjs"], cwd=_PACKAGE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
