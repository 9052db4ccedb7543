"""Cryptography: hashes, keys, EIP-712 digests, Merkle trees, the set hash, and signature schemes. Knows no app."""
