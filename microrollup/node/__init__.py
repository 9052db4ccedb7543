r"""The node: one process that takes actions, sequences them, has them verified and settles them, and tells who asks.

    intake -> (authentication processes) -> writer -> hub -> subscribers
                                              |  \-> verifier processes -> settling -> confirmations
                                              store <- lookups

Threads with queues between them; the kernel's own objects stay with the writer's thread. Readers take snapshots of the
store and never hold the writer up.
"""
