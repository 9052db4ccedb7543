"""The Ethereum settlement: an inbox contract on L1, data in EIP-4844 blobs or in calldata.

Begin with `settlement.EthereumSettlement` and `deploy.deploy_inbox`. Importing `options` and `errors` is cheap; the
other modules load eth-abi and, to sign, eth-account (half a second), and the set-up of KZG (1.4 s) is loaded when the
first blob is made or checked.
"""
