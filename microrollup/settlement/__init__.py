"""Settlement: batches, attestations, the inbox's rules, and the backends that enforce them."""
