"""Signatures of actions: which schemes there are, their one stored form, and the sender that each gives."""
