"""One inbox on an anvil of its own, reached through a proxy, for tests of what goes wrong on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ethereum_harness import DEPLOYER, KEYS, fund, get_head
from l1_fixtures import Anvil, run_anvil
from l1_proxy import L1Proxy, run_proxy
from microrollup.settlement.ethereum.deploy import deploy_inbox, plan_inbox
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.settlement import EthereumSettlement
from microrollup.settlement.protocol import SettledHead
from microrollup.testing.settlement_harness import BUILDER, OWNER, STF_ID, Proposal, extend, make_genesis, propose
from waiting import SECONDS


class Site:
    """The L1, the proxy before it, and settlements opened on the inbox."""

    def __init__(self, anvil: Anvil, proxy: L1Proxy, options: EthereumOptions) -> None:
        self.anvil = anvil
        self.proxy = proxy
        self.options = options
        self.opened: list[EthereumSettlement] = []
        self._first_nonce = 0
        self._first_nonce = self.count_nonces()

    def open(self, **changes: Any) -> EthereumSettlement:
        """Another process's view, as far as L1 can tell."""
        inbox = EthereumSettlement.open(msgspec.structs.replace(self.options, **changes), KEYS)
        self.opened.append(inbox)
        return inbox

    def count_settled(self) -> int:
        """`BatchSettled` events on L1 itself."""
        from microrollup.settlement.ethereum.contract import compute_topic

        topic = f"0x{compute_topic('BatchSettled').hex()}"
        asked = {"address": f"0x{self.options.inbox.hex()}", "fromBlock": "0x0", "topics": [topic]}
        return len(self.anvil.call("eth_getLogs", asked))

    def count_nonces(self) -> int:
        """How many transactions of the builder L1 included since this site was made."""
        count = int(self.anvil.call("eth_getTransactionCount", f"0x{BUILDER.hex()}", "latest"), 16)
        return count - self._first_nonce

    def list_pool(self) -> dict[str, Any]:
        """The builder's transactions that are not included, by nonce."""
        pending = self.anvil.call("txpool_content")["pending"]
        found = [content for address, content in pending.items() if address.lower() == f"0x{BUILDER.hex()}"]
        return found[0] if found else {}


@contextmanager
def run_site(*arguments: str, **changes: Any) -> Iterator[Site]:
    """A fresh L1 with an inbox."""
    with run_l1(*arguments) as anvil, make_site(anvil, **changes) as site:
        yield site


@contextmanager
def run_l1(*arguments: str) -> Iterator[Anvil]:
    """An L1 on which the keys of the tests have funds. The first blob costs it two seconds: share it."""
    with run_anvil(*arguments) as anvil:
        fund(anvil, *KEYS)
        anvil.mine(3)
        yield anvil


@contextmanager
def make_site(anvil: Anvil, own: L1Proxy | None = None, **changes: Any) -> Iterator[Site]:
    """A new inbox behind a proxy (`own`, or a new one). Blocks come with each transaction until `evm_setAutomine` is
    told.
    """
    anvil.call("anvil_dropAllTransactions")
    anvil.call("evm_setAutomine", True)
    fund(anvil, *KEYS)
    with run_proxy(anvil.url, own) as proxy:
        options = EthereumOptions(
            proxy.url, poll_seconds=0, blob_sources=(proxy.url,), settle_seconds=120, timeout_seconds=30, retries=2
        )
        options = msgspec.structs.replace(options, **changes)
        deployment = deploy_inbox(options, DEPLOYER, plan_inbox(make_genesis(*get_head(anvil)), OWNER, STF_ID))
        site = Site(anvil, proxy, msgspec.structs.replace(options, inbox=deployment.inbox))
        try:
            yield site
        finally:
            for inbox in site.opened:
                inbox.close()


def settle(inbox: EthereumSettlement, proposal: Proposal) -> SettledHead:
    """As the builder."""
    return inbox.settle(proposal.batch, proposal.header, proposal.attestations, submitter=BUILDER)


def settle_next(inbox: EthereumSettlement, **changes: Any) -> SettledHead:
    """A block on top of what is settled."""
    return settle(inbox, propose(inbox, extend(inbox, **changes)))


class Running:
    """A call in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], Any]) -> None:
        try:
            self._outcome = function()
        except BaseException as error:
            self._error = error

    def finish(self) -> Any:
        """What it returned; raises what it raised."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        return self._outcome
