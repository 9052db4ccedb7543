"""The keystore in Solidity: sources, and in `artifacts` what the compiler made of them, for `load_artifact`."""

__all__: list[str] = []
