"""Conformance vectors: every format of the protocol as data that another implementation can read.

`python tests/support/conformance` writes `tests/vectors/*.json` again. Each file is one format: a version, a sentence
that says what it is, and cases whose bytes come from fixed inputs, so that the same code always writes the same file.
"""
