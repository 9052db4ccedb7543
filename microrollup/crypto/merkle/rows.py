"""Rows of bytes in numpy arrays, moved whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Rows", "put_rows"]

Rows = npt.NDArray[np.uint8]
"""Shape (n, row bytes)."""


def put_rows(rows: Rows, places: npt.NDArray[np.int64] | npt.NDArray[np.uint32], values: Rows) -> None:
    """`rows[places] = values`, all of one row size, and `rows` contiguous.

    Numpy moves items as long as a row in a tenth of the time that it takes for their bytes.
    """
    whole = np.dtype((np.void, rows.shape[1]))
    rows.view(whole).reshape(-1)[places] = np.ascontiguousarray(values).view(whole).reshape(-1)
