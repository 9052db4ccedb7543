"""The keystore's contracts on many chains: what is deployed, what each chain knows, and keeping it fresh.

`plan` says which contracts, `deploying` brings them, `book` writes down what is where, `standing` asks a
chain. `keeper` serves one chain, `keeping` several. What serves chains shares `node`, `store`, `purse`, `watch` and
`serving`.
"""
