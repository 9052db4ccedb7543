"""What is signed, hashed and shown: records, headers, receipts, acknowledgements, their proofs and their JSON."""
