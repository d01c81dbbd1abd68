"""What people see of sagas and ask of them, however they do so: the command line and the web console."""

__all__: list[str] = []
