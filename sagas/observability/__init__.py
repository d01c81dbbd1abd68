"""What a process tells about itself: its logs."""

__all__: list[str] = []
