"""What an app writes: state, actions, maps, state transition functions, and the rollup that binds them."""
