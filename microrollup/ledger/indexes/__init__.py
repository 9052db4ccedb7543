"""Indexes over a store: closed blocks as indexes see them, filling them in the background, and reading them."""
