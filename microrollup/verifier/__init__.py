"""The verifier: re-executes every block, compares every commitment, and signs only what it reproduced."""
