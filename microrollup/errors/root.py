"""The root of all errors."""

__all__ = ["MicrorollupError"]


class MicrorollupError(Exception):
    """Root of all errors raised on purpose by microrollup."""
