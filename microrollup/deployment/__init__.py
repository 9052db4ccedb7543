"""A rollup's data directory and all that is done with it, as a Python API without a terminal.

One module per verb. Nothing here prints: progress goes to callbacks, results are values, failures are typed errors.
`microrollup.cli` is one screen over it.
"""
