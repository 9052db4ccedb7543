"""Benchmarks: each figure beside the physical limit it is held against, measured in the same run.

Run them with `python -m benchmarks`; `--quick` takes less than a minute, `--only NAME` one group of rows.
"""
