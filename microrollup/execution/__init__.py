"""From bytes to a sender, from a sender to an entry, from an entry to a receipt."""
