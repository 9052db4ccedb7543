"""`python -m apps.keystore.story`: the whole picture on three real nodes, one step after the other.

One L1 and two L2s; a keystore that settles on the L1 in blobs; smart accounts that live by it on both L2s; one rotation
of a key that reaches both; and the same once more, through L1 alone, when the operator is gone with its data.

What runs is what would be deployed, but for two things that belong to L2s themselves and do not run on anvil:
`stand_ins` says which.
"""
