"""Who adds actions and blocks: admission, nonce gaps, group commit."""
