"""The peer: the same registers and updates as events of the `eventsourcing` library, stored by its SQLite module."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from apps.keystore.transitions import Register, Update
from microrollup.declaration.action import Action

__all__ = ["PeerKeystore"]

_FULL_SYNC: Final = 2
_SECTION: Final = 1_000
"""Events that are selected at once; with more it is not faster."""


class PeerAccount(Aggregate):
    """An account as an aggregate; hashes are hex, which its JSON transcoder takes."""

    @event("Registered")
    def __init__(self, code_hash: str, config_hash: str, salt: str, vk: str) -> None:
        self.code_hash = code_hash
        self.config_hash = config_hash
        self.salt = salt
        self.vk = vk

    @event("Updated")
    def update(self, code_hash: str, config_hash: str, vk: str) -> None:
        """Replace what is authoritative."""
        self.code_hash = code_hash
        self.config_hash = config_hash
        self.vk = vk


class PeerKeystore:
    """An application of the library over a database file. Close it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._app: Application[UUID] = Application(
            env={
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "SQLITE_DBNAME": str(directory / "events.sqlite"),
            }
        )
        self._accounts: dict[bytes, PeerAccount] = {}
        self._events = 0

    def apply(self, key: bytes, action: Action, sender: bytes) -> PeerAccount:
        """One event, not yet stored."""
        self._events += 1
        if isinstance(action, Register):
            account = PeerAccount(action.code_hash.hex(), action.config_hash.hex(), action.salt.hex(), sender.hex())
            self._accounts[key] = account
            return account
        if not isinstance(action, Update):
            raise TypeError(type(action))
        account = self._accounts[key]
        account.update(action.code_hash.hex(), action.config_hash.hex(), action.vk.hex())
        return account

    def save(self, accounts: list[PeerAccount]) -> None:
        """Store their pending events in one transaction."""
        self._app.save(*{account.id: account for account in accounts}.values())

    def replay(self) -> int:
        """Read all accounts from their events; how many events."""
        repository: Any = self._app.repository
        for account in self._accounts.values():
            repository.get(account.id)
        return self._events

    def decode(self) -> int:
        """Decode the application's log, event by event, the fastest way to read all that is stored; how many events.

        No aggregate is made of them.
        """
        recorder, mapper = self._app.recorder, self._app.mapper
        count = 0
        while notifications := recorder.select_notifications(start=count + 1, limit=_SECTION):
            for notification in notifications:
                mapper.to_domain_event(notification)
            count += len(notifications)
        return count

    def is_durable(self) -> bool:
        """Whether a commit waits for the disk: SQLite's `synchronous` is FULL."""
        factory: Any = self._app.factory
        with factory.datastore.transaction(commit=False) as cursor:
            cursor.execute("PRAGMA synchronous")
            return int(cursor.fetchone()[0]) >= _FULL_SYNC

    def close(self) -> None:
        """Close the database."""
        self._app.close()
