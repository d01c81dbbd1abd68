"""``python -m campaign.many COMMAND ID ... -- OPTION ...``: one command of ``sagas`` for many sagas.

What an operator's loop in a shell does, without starting Python each time. Runs in a process of its own;
nothing else of the campaign imports the framework. Prints one line for each: exit code and id.
"""

from __future__ import annotations

import contextlib
import io
import sys

from sagas.cli.main import main as sagas

__all__ = ["main"]


def main() -> None:
    """Read the arguments, run the commands one after the other."""
    command, *given = sys.argv[1:]
    split = given.index("--")
    for saga_id in given[:split]:
        print(_run([command, saga_id, *given[split + 1 :]]), saga_id)


def _run(words: list[str]) -> object:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            sagas(words)
    except SystemExit as ended:
        return ended.code
    return 0


if __name__ == "__main__":
    main()
