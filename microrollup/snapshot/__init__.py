"""Snapshots: a rollup at one closed height in a file that names itself by its content, and a store made of it.

Whoever restores one trusts nobody: state and metadata roots are computed again from the rows, and the header that
commits to them must be the one that L1 settled, or that the caller knows. What no header commits to (number and chain
of the last log record) is only where the restored log goes on. Receipts, older blocks and the log before the height
are not in a snapshot; asking for them raises `NotRetained`.
"""

from microrollup.snapshot.file import OnProgress
from microrollup.snapshot.restore import restore_snapshot
from microrollup.snapshot.write import SnapshotInfo, write_snapshot

__all__ = ["OnProgress", "SnapshotInfo", "restore_snapshot", "write_snapshot"]
