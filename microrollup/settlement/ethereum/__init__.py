"""The Ethereum settlement: an inbox contract on L1, data in EIP-4844 blobs or calldata.

See `settlement.EthereumSettlement`. Importing this package is cheap; web3, eth_account and ckzg are loaded when an L1
is opened.
"""
