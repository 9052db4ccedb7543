"""kill -9 of a settling process at each step of its work: every height is settled, and settled once."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ethereum_site import Site
from paths import SUPPORT

SETTLER = SUPPORT / "ethereum_settler.py"
STEPS = [
    ("eth_call", 4), ("eth_getTransactionCount", 1), ("eth_maxPriorityFeePerGas", 1), ("eth_sendRawTransaction", 1),
    ("eth_getTransactionReceipt", 1), ("eth_getBlockByNumber", 5),
]  # fmt: skip
"""Which request of a method the process does not survive."""


def start(site: Site, height: int) -> subprocess.Popen[bytes]:
    arguments = [site.proxy.url, site.options.inbox.hex(), site.options.da, str(height)]
    command = [sys.executable, str(SETTLER), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=SETTLER.parent)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "count"), STEPS)
def test_kill(site: Site, method: str, count: int, when: str) -> None:
    """Killed before a request reaches L1, or after L1 has acted on it; another process goes on, as after a crash."""
    child: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        child[0].kill()

    site.proxy.watch(method, count, when, kill)
    child.append(start(site, 2))
    assert -9 == child[0].wait(60)
    assert 0 == start(site, 2).wait(60)
    view: Any = site.open()
    assert (2, 2) == (view.get_settled().height, site.count_settled())
    assert 2 == site.count_nonces()
    assert {} == site.list_pool()
