"""A log of records that several nodes share, so that one can go on where another stopped."""
