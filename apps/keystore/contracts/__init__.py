"""The keystore in Solidity: sources, and in `artifacts` what the compiler made of them (`load_artifact` reads these)."""

__all__: list[str] = []
