"""What goes wrong with keys."""

from __future__ import annotations

from microrollup.errors import UsageError

__all__ = ["WrongPassphrase", "WrongSigner"]


class WrongPassphrase(UsageError):
    """The passphrase is not that of the key file; nothing was signed."""

    def __init__(self, path: object) -> None:
        super().__init__(f"the passphrase is not that of {path}")


class WrongSigner(UsageError):
    """The signer does not hold the key, or gave a signature that is not the key's."""
