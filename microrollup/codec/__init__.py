"""Encodings: types described once, and their msgpack, ABI and JSON forms."""
