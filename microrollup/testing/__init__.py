"""Public helpers for tests: strategies from types, and the contract suite of settlement backends."""
