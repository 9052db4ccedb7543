"""The guard: which Python a state transition function may hold, and how its steps are counted."""
