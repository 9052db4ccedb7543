"""An app in four versions, for tests of upgrades."""
