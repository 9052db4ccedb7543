"""Merkle trees: the indexed tree of the state, and positional trees of items."""
