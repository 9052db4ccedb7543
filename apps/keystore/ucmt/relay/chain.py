"""One chain with keystore contracts: what a relayer asks of them, and the updates that it sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from microrollup.crypto.keccak import keccak256
from microrollup.settlement.ethereum.transport import MethodCall

from ...chains.node import ChainNode, make_call
from ..updates import encode_handle_updates
from .calls import encode_get_nonce, encode_get_root, encode_validate, name_revert
from .updates import LoggedUpdate, UpdateLine

__all__ = ["ChainStanding", "UpdateNode", "encode_updates"]

_LAST_SEQUENCE: Final = (1 << 64) - 1


class ChainStanding(msgspec.Struct, frozen=True):
    """What a chain holds of an account."""

    root: bytes
    position: int
    """How many of the account's updates its nonces count."""


class UpdateNode(ChainNode):
    """A connection to a chain's node. All methods belong to one event loop, and raise `L1Error`s."""

    async def read_standings(
        self, lines: Sequence[UpdateLine], hints: Sequence[int], number: int
    ) -> list[ChainStanding | None]:
        """What the accounts' keystores hold at a block; None where there is no contract that answers.

        An update is counted if its nonce is used, and each one's if the next one's is: so the position is searched for,
        beginning at a hint, by the nonces of few keys, however many an account has.
        """
        searches = [_Search(line, hint) for line, hint in zip(lines, hints, strict=True)]
        roots = await self.ask_calls(
            [make_call(each.keystore, encode_get_root(each.place), number) for each in searches]
        )
        for search, root in zip(searches, roots, strict=True):
            search.root = root
        while True:
            probes = [(search, place) for search in searches for place in search.list_probes()]
            if not probes:
                break
            requests = [
                make_call(each.keystore, encode_get_nonce(each.place, each.updates[place].nonce_key), number)
                for each, place in probes
            ]
            for (search, place), answer in zip(probes, await self.ask_calls(requests), strict=True):
                search.note(place, answer)
        return [search.finish() for search in searches]

    async def check_signatures(self, updates: Sequence[LoggedUpdate]) -> list[str]:
        """What the chain's verifiers say against each update; empty if nothing.

        `validate` is asked for a caller that nobody is, whose root is therefore the one that the update was signed
        for: so it tells what a verifier answers, which the success of `handleUpdates` does not.
        """
        requests: list[MethodCall] = []
        for logged in updates:
            given, caller = logged.update, keccak256(logged.message)[:20]
            data = encode_validate(logged.root, logged.message, given.proof or (), given.node, given.data)
            requests.append(make_call(logged.keystore, data, None, caller))
            if given.next_node:
                data = encode_validate(
                    given.next_hash, logged.message, given.next_proof, given.next_node, given.next_data
                )
                requests.append(make_call(logged.keystore, data, None, caller))
        reasons: dict[int, str] = {}
        answers = iter(await self.ask_calls(requests, reasons))
        found, place = [], 0
        for logged in updates:
            said = ""
            for _ in range(2 if logged.update.next_node else 1):
                answer = next(answers)
                if not said and answer is None:
                    said = reasons[place]
                elif not said and answer is not None and len(answer) < 32:
                    said = "there is no keystore contract"
                elif not said and answer is not None and int.from_bytes(answer[:32], "big") == 1:
                    said = "a verifier answers that it is not signed"
                place += 1
            found.append(said)
        return found

    def name_revert(self, data: bytes | None, message: str) -> str:
        """The contract's error by its name."""
        return name_revert(data, message)

    async def estimate(self, updates: Sequence[LoggedUpdate]) -> int:
        """The gas of a transaction with these updates, of one keystore. Raises `CallReverts`."""
        return await self.estimate_call(updates[0].keystore, encode_updates(updates))


class _Search:
    """For an account's position on a chain."""

    def __init__(self, line: UpdateLine, hint: int) -> None:
        self.place = line.place
        self.updates = tuple(line.updates)  # meanwhile the log may bring more
        self.keystore = self.updates[0].keystore
        self.root: bytes | None = None
        self._low, self._high = 0, len(self.updates)
        self._hint: int | None = min(hint, self._high)
        self._is_lost = False

    def list_probes(self) -> list[int]:
        """Updates whose nonces are to be read next."""
        if self._is_lost or self.root is None or len(self.root) != 32 or self._low == self._high:
            return []
        if self._hint is None:
            return [(self._low + self._high) // 2]
        hint, self._hint = self._hint, None
        return [place for place in (hint - 1, hint) if 0 <= place < self._high]

    def note(self, place: int, answer: bytes | None) -> None:
        """What `getNonce` gave for an update's key."""
        if answer is None or len(answer) != 32:
            self._is_lost = True
        elif int.from_bytes(answer, "big") & _LAST_SEQUENCE > self.updates[place].sequence:
            self._low = max(self._low, place + 1)
        else:
            self._high = min(self._high, place)
        if self._low > self._high:  # no contract of the keystore counts a later update without the earlier one
            self._is_lost = True

    def finish(self) -> ChainStanding | None:
        if self._is_lost or self.root is None or len(self.root) != 32:
            return None
        return ChainStanding(self.root, self._low)


def encode_updates(updates: Sequence[LoggedUpdate]) -> bytes:
    """Calldata of `handleUpdates`."""
    return encode_handle_updates([logged.update for logged in updates])
