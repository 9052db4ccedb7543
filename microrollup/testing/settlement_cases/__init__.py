"""The cases of the contract suite, by what they are about; `settlement_suite` puts them together."""

__all__: list[str] = []
