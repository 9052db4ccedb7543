"""A verifier's key: what it signed is not signed again, and a longer batch is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from kernel_fixtures import VERIFIER, VERIFIER_KEY, Chain
from microrollup.chain.export import BlockFile, write_blocks
from microrollup.crypto.ecdsa import sign_messages
from microrollup.errors import MicrorollupError
from microrollup.verifier.attester import Attester
from microrollup.verifier.events import Tick
from microrollup.verifier.signatures import SignedHeights


class Signer:
    """A key elsewhere that remembers what it was asked for."""

    address = VERIFIER
    failure: str | None = None

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def sign_messages(self, messages: Sequence[bytes]) -> list[bytes | MicrorollupError]:
        self.messages += messages
        return sign_messages(VERIFIER_KEY, messages)


def test_a_signer_is_asked_once_for_a_batch(tmp_path: Path) -> None:
    """Also at ticks that come before the batch has settled; another batch, another signature."""
    with closing(Chain(tmp_path)) as chain, SignedHeights(tmp_path / "signed") as signed:
        chain.work(Random(1), 3)
        ledger = chain.make_verifier()
        chain.verify(ledger)
        write_blocks(tmp_path / "blocks", chain.genesis, chain.get_blocks())
        source, signer = BlockFile(tmp_path / "blocks"), Signer()
        attester = Attester(chain.l1, signer, signed)
        two, again, three = (attester.attest(ledger, source, Tick(last_height=height)) for height in (2, 2, 3))
        assert two == again
        assert [2, 3] == [each.attestation.last_height for each in two + three]
        assert 2 == len(signer.messages) == len(set(signer.messages))
        ledger.abandon()
