"""`NodeView`: what a method of an app's own is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from microrollup.chain.acknowledgement import SignedAcknowledgement
    from microrollup.chain.answers.actions import ActionAnswer, BlockAnswer, HeaderAnswer, ReceiptAnswer
    from microrollup.chain.answers.confirmations import Confirmation, Heights
    from microrollup.chain.answers.state import StateProofAnswer
    from microrollup.declaration.index import Index, IndexBlock, IndexView
    from microrollup.declaration.view import View

__all__ = ["NodeView"]

K = TypeVar("K")
V = TypeVar("V")


class NodeView(Protocol):
    """A running node, for a method of its app. Any thread may use it; heights are of closed blocks, newest by default.

    What is not there raises `NotRecorded`, a height that is no longer kept `NotRetained`: let them pass, they are
    answered as such.
    """

    @property
    def directory(self) -> Path:
        """The rollup's data directory, in which an operator may leave files for the app's methods."""
        ...

    @property
    def height(self) -> int:
        """The newest closed block's height."""
        ...

    @property
    def settled(self) -> int:
        """The height whose root the inbox on L1 holds, as of this node's last look at L1: a second ago or less.

        That is the newest one, however deep it is: what a contract there checks proofs against now. A store that ends
        below it raises `NotRetained`.
        """
        ...

    @property
    def heights(self) -> Heights:
        """The newest height at each level of confirmation."""
        ...

    @property
    def rollup_id(self) -> bytes:
        """32 bytes."""
        ...

    @property
    def first_builder(self) -> bytes:
        """The 20-byte address that the rollup's genesis names as its builder."""
        ...

    def submit(self, line: bytes, *, timeout: float = 30.0) -> SignedAcknowledgement:
        """Take one signed action in its JSON form, or one envelope as `{"envelope": name, "raw": "0x…"}`; returns when
        it is durable.

        Raises what refuses it, a `RefusedError` for one, and `LimitExceeded` after so many seconds.
        """
        ...

    def get_nonce(self, sender: bytes) -> int:
        """The nonce that a 20-byte sender signs next."""
        ...

    def get_action(self, action: bytes | int, name: str | None = None) -> ActionAnswer:
        """An action as it came, by its 32-byte hash or its sequence number; with the `name` of an envelope, by the hash
        that the envelope gives itself.
        """
        ...

    def get_receipt(self, action: bytes | int, name: str | None = None) -> ReceiptAnswer:
        """What became of an action, named in the same way."""
        ...

    def list_receipts(self, first: int, limit: int) -> list[ReceiptAnswer]:
        """Receipts in order from a sequence number on, the open block's included: what a subscription would tell."""
        ...

    def get_header(self, height: int | None = None) -> HeaderAnswer:
        """A header."""
        ...

    def get_block(self, height: int | None = None) -> BlockAnswer:
        """A block with what became of its actions."""
        ...

    def get_records(self, height: int) -> tuple[bytes, ...]:
        """The entries of a block as the log has them, in order: nothing is opened or recovered. None of the genesis."""
        ...

    def get_confirmation(self, action: bytes | int) -> Confirmation:
        """How far an action, by its 32-byte hash, or a height is confirmed."""
        ...

    def get_value(self, field: str, key: Any = None, height: int | None = None) -> Any:
        """What a field holds at a key, of the app's own types; None for nothing."""
        ...

    def view(self, height: int | None = None) -> View[Any]:
        """The state as a query sees it, until the method returns."""
        ...

    def index(
        self, function: Callable[[IndexBlock[Any], Index[K, V]], None], height: int | None = None
    ) -> IndexView[K, V]:
        """The entries of an index, as `view(height).index(function)` gives them.

        An index that is still being built ends the method: that is answered as `index_building`.
        """
        ...

    def prove(self, field: str, key: Any = None, height: int | None = None) -> StateProofAnswer:
        """The proof of what a settled field holds at a key, or that it holds nothing."""
        ...
