"""What a worker keeps in a file of its own: keys and values, written together or not at all.

Owns the file (SQLite). It may be deleted at any time, and costs the time of reading the topics again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from sagas.core.errors import SettingsError

__all__ = ["StateFile"]


class StateFile:
    """An open state file, which nobody else can open meanwhile. Raises SettingsError if somebody has, or if
    it is no such file. Calls may come from any thread: they take turns.
    """

    def __init__(self, path: Path) -> None:
        self._turn = Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=0, check_same_thread=False)
        try:
            # One process has it, until it is gone: the lock is the operating system's.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            with self._database:
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value BLOB NOT NULL)"
                    " WITHOUT ROWID"
                )
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise SettingsError(
                f"The state file {path} can not be used ({error}). If another monitor runs on it, give this "
                "one another; if it is damaged, delete it: the topics are read again."
            ) from error

    def read(self) -> dict[str, bytes]:
        """All that is kept."""
        return dict(self._database.execute("SELECT key, value FROM kept"))

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Keep these, and forget those that are None. After a crash all of it is there, or none."""
        gone = [(key,) for key, value in changes.items() if value is None]
        kept = [(key, value) for key, value in changes.items() if value is not None]
        with self._turn, self._database:
            self._database.executemany("DELETE FROM kept WHERE key = ?", gone)
            self._database.executemany(
                "INSERT INTO kept VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                kept,
            )

    def clear(self) -> None:
        """Forget everything."""
        with self._turn, self._database:
            self._database.execute("DELETE FROM kept")

    def close(self) -> None:
        """Let others open it."""
        with self._turn:
            self._database.close()
