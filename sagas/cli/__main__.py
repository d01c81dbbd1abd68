"""``python -m sagas.cli`` is the command ``sagas``."""

from sagas.cli.main import main

__all__: list[str] = []

main()
