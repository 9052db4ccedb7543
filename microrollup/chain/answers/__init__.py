"""What a node answers: one Struct per answer. The node's JSON, its JSON Schema and the client's types follow from it.

`codec.document` says how they are written. What belongs to an app (keys, values, messages, the members of events) is
plain JSON here; its type is the app's own declaration. Acknowledgements and receipt proofs, which are files as well,
stand with what they are made from.
"""
