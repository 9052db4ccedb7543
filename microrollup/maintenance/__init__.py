"""An operator's tools: replay, scrub, snapshot and restore."""
