"""The optional native helper: hashes and recovery of many at once, in C. It gives the bytes that Python code gives."""
