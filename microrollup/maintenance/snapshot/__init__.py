"""Snapshots: a rollup at one closed height in a file that names itself by its content, and a store made of it.

Restoring one trusts nobody: state and metadata roots are computed again from the rows, and the header that
commits to them must be the one that L1 settled, or that the caller knows. What no header commits to (number and chain
of the last log record) is only where the restored log goes on. Receipts, older blocks and the log before the height
are not in a snapshot; asking for them raises `NotRetained`.
"""

from microrollup.maintenance.snapshot.file import OnSnapshotProgress, read_snapshot_head
from microrollup.maintenance.snapshot.restore import restore_snapshot
from microrollup.maintenance.snapshot.write import SnapshotInfo, find_end, write_snapshot

__all__ = ["OnSnapshotProgress", "SnapshotInfo", "find_end", "read_snapshot_head", "restore_snapshot", "write_snapshot"]
