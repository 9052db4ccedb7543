"""How far each verifier vouches, kept over restarts: what was announced as verified is so at once after the next start.

Verifiers know it better, in stores of their own, and say it again when they run; so this file is written without sync,
and one that is damaged, or speaks of blocks that were built anew since, is ignored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from microrollup.settlement.verifiers import VerifierSet

__all__ = ["Vouches"]

_FILE: Final = "verified.json"

_log = structlog.get_logger(__name__)


class _Vouch(msgspec.Struct, frozen=True, rename="camel"):
    """A verifier has verified everything up to the block of this height and hash (in hex digits)."""

    height: int
    block_hash: str


class Vouches:
    """The vouches of a rollup's verifiers. Any thread may call."""

    def __init__(self, directory: Path, find_hash: Callable[[int], bytes | None]) -> None:
        """`find_hash` gives the 32-byte hash of the closed block at a height, or None."""
        self._path = directory / _FILE
        self._find_hash = find_hash
        self._lock = threading.Lock()
        self._vouched: dict[bytes, _Vouch] = {}

    def load(self) -> None:
        """Read what was kept; to be called when blocks that were taken back have been built again."""
        vouched = self._read()
        with self._lock:
            self._vouched = {address: vouch for address, vouch in vouched.items() if self._is_ours(vouch)}

    def note(self, verifier: bytes, height: int, verifiers: VerifierSet, block_hash: bytes | None = None) -> bool:
        """Note that a verifier (20-byte address) vouches for everything up to a height.

        False if that is not a block of ours: there is none, or it is not `block_hash`, where the verifier names one.
        """
        found = self._find_hash(height)
        if found is None or found != (found if block_hash is None else block_hash):
            return False
        with self._lock:
            known = self._vouched.get(verifier)
            if known is None or known.height < height:
                self._vouched[verifier] = _Vouch(height, found.hex())
                self._vouched = {each: self._vouched[each] for each in verifiers.members if each in self._vouched}
                self._save()
        return True

    def get_height(self, verifier: bytes) -> int:
        """The height up to which one verifier vouches; 0 (genesis) if it does not."""
        with self._lock:
            vouch = self._vouched.get(verifier)
        return 0 if vouch is None else vouch.height

    def find_height(self, verifiers: VerifierSet) -> int:
        """The height up to which a quorum vouches; 0 (genesis) without one."""
        heights = sorted([self.get_height(each) for each in verifiers.members], reverse=True)
        return heights[verifiers.quorum - 1]

    def _read(self) -> dict[bytes, _Vouch]:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Vouch])
            return {bytes.fromhex(address): vouch for address, vouch in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors too
            _log.warning("vouches_not_read", path=str(self._path), reason=str(error))
            return {}

    def _is_ours(self, vouch: _Vouch) -> bool:
        """Whether it speaks of a block that is still the one that was verified."""
        found = self._find_hash(vouch.height)
        return found is not None and found.hex() == vouch.block_hash

    def _save(self) -> None:
        aside = self._path.with_suffix(".part")
        try:
            aside.write_bytes(msgspec.json.encode({each.hex(): vouch for each, vouch in self._vouched.items()}))
            aside.replace(self._path)
        except OSError as error:
            _log.warning("vouches_not_kept", reason=str(error))
