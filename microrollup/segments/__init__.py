"""History verified by many processes or machines: cut into segments that start from snapshots, executed by workers."""
