"""The command line: what operators and developers type."""

__all__: list[str] = []
