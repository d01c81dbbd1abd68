"""``sagas run`` under cProfile, on asyncio's own loop, whose turns cProfile sees.

``python -m benchmarks.profiled FILE run SERVICE...`` writes the profile when it is stopped.
"""

from __future__ import annotations

import cProfile
import sys
import time
from contextlib import suppress


def main() -> None:
    file, *arguments = sys.argv[1:]
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # importing it now fails, as if not there
    sys.argv = ["sagas", *arguments]
    from sagas.cli.main import main as sagas  # noqa: PLC0415 - after uvloop was hidden

    with cProfile.Profile(time.process_time) as profile, suppress(SystemExit):
        sagas()
    profile.dump_stats(file)


if __name__ == "__main__":
    main()
