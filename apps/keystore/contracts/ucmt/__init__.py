"""The keystore interface of Stackup in Solidity: sources, and in `artifacts` what the compiler made of them."""

__all__: list[str] = []
