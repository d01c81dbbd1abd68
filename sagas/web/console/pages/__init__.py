"""The console's pages, one module for each place in its navigation."""

__all__: list[str] = []
