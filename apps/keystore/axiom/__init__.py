"""Axiom's keystore interface off the chain: transactions, what is signed, key data, and proofs with a witness.

`transactions` reads and writes UPDATE, WITHDRAW and DEPOSIT; `messages` has the EIP-712 hashes; `keys` the m-of-n key
data and signatures; `proofs` what is used instead of a zero-knowledge proof. These run inside the rollup too, so what
they refuse raises `Revert`. `making` signs and proves; `key_data_proofs` is the Merkle proof that Axiom's validators
read; `bridge_calls` is what is sent to the bridge on L1.
"""
