"""What a chain's state was after every height, remembered whole: the slow model of all reads and proofs."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from kernel_fixtures import Chain
from microrollup.crypto.merkle.indexed import verify_exclusion, verify_inclusion
from microrollup.declaration.map import Map
from microrollup.declaration.state import NONCES, StateField
from microrollup.errors import ProofError
from microrollup.ledger.reading import prove_state, read_header, read_value
from microrollup.store.spans import Spans
from zoo import make_guard, zoo

__all__ = ["KEYS", "Model"]

KEYS: dict[str, list[Any]] = {
    "animals": [f"animal {key}" for key in range(13)],
    "tickets": list(range(13)),
    "visitors": [None],
    "notes": [b"%d" % key for key in range(13)],
    "motto": [None],
    "guards": [make_guard(key) for key in range(13)],
}


class Model:
    """Every field's values and every nonce behind every height, and the tree keys that were ever set."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.values: list[dict[tuple[str, Any], Any]] = []
        self.nonces: list[dict[bytes, int]] = []
        self.spans = Spans(blocks=6, short=3)
        self.remember()

    def remember(self) -> None:
        """Take note of the state after the block that was closed now."""
        state = self.chain.ledger.state
        found: dict[tuple[str, Any], Any] = {}
        for name in KEYS:
            value = getattr(state.app, name)
            entries = value.items() if isinstance(value, Map) else [(None, value)]
            found.update({(name, key): entry for key, entry in entries})
        self.values.append(found)
        self.nonces.append(dict(state.nonces.items()))

    def work(self, rng: Random, blocks: int) -> None:
        """Some blocks of random edits."""
        for _ in range(blocks):
            self.chain.work(rng, 1)
            self.remember()

    def check_height(self, height: int) -> None:
        """Every value, proof and nonce of a height, with and without spans."""
        ledger = self.chain.ledger
        header = read_header(ledger.environment.reader, ledger.environment, height)
        for name, keys in KEYS.items():
            field = zoo.state_type.get_field(name)
            for key in keys:
                encoded = field.encode_key(key)
                expected = self.values[height].get((name, key))
                for spans in (None, self.spans):
                    found = read_value(ledger.environment, field, encoded, height, spans)
                    assert expected == found, (name, key, height)
                if field.settled:
                    self.check_proof(field, key, expected, height, header.state_root)
        for sender in self.nonces[-1]:
            assert self.nonces[height].get(sender) == read_value(ledger.environment, NONCES, sender, height, self.spans)

    def check_proof(self, field: StateField, key: Any, expected: Any, height: int, state_root: bytes) -> None:
        """The key is proven present with this value, or absent, and nothing else is."""
        ledger = self.chain.ledger
        proof = prove_state(ledger.environment, ledger.tree, field, field.encode_key(key), height)
        assert proof == prove_state(ledger.environment, ledger.tree, field, field.encode_key(key), height, self.spans)
        assert (height, expected) == (proof.header.height, proof.stored)
        if expected is None and not proof.exists:
            verify_exclusion(state_root, proof.tree_key, proof.proof)
            assert all((field.name, key) not in values for values in self.values[: height + 1])
            with pytest.raises(ProofError):
                verify_inclusion(state_root, proof.tree_key, b"", proof.proof)
            return
        leaf = b"" if expected is None else field.encode_leaf(expected)
        assert leaf == proof.value
        verify_inclusion(state_root, proof.tree_key, leaf, proof.proof)
        with pytest.raises(ProofError):
            verify_exclusion(state_root, proof.tree_key, proof.proof)
