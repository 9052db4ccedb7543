"""A rollup on top of its store: genesis, closing blocks, reading at a height, recovery."""
