"""The store: one LMDB environment and two flat files a rollup."""
