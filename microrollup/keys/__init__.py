"""Keys of builders, verifiers and payers: in files, plain or under a passphrase, or held by a signer elsewhere."""
