"""JSON-RPC 2.0 over HTTP and WebSocket: what a node knows and takes, for programs on the network.

Nothing here decides anything about the rollup: calls are decoded strictly, handed to the node, and its answers are
written as JSON. Everything that an app's own declaration says comes from there; an app needs no code here.
"""
