"""`python -m apps.keystore.plus.story`: a Keystore+ from its deployment to its end, on two real chains.

A name, money, fees that a sponsor pays, an operation on an L2 that nobody signs there, a key that is lent and replaced,
a theft that a spending rule holds up and guardians undo, and the escape of the money when the operator is gone. The
node is a process of its own, which takes its blocks' time from L1, so that days pass within seconds.

What runs is what would be deployed, but for the L2's view of L1, which is one of `apps.keystore.story.stand_ins`.
"""
