"""What a process answers over HTTP. Needs the extra ``web``."""

__all__: list[str] = []
