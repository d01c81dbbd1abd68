"""PostgreSQL with logical decoding switched on, for the journals and for change data capture.

Runs as the user `postgres` when started by root, because `initdb` refuses root.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from local_stack.packages import need
from local_stack.processes import ServerProcess

PACKAGE = "postgresql-15"
# Without fsync it survives its own death (kill -9), not the machine's: enough for tests, and fast.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "max_connections": "300",
    "fsync": "off",
}


def process(directory: Path) -> ServerProcess:
    """Name the PostgreSQL of this directory, running or not; SIGINT is its fast shutdown."""
    return ServerProcess(directory, stop_signal=signal.SIGINT)


def start(directory: Path, port: int) -> None:
    """Start PostgreSQL, make its database the first time, and wait until it answers a query."""
    initdb = need("initdb", PACKAGE)
    user = "postgres" if os.geteuid() == 0 else None
    data = directory / "data"
    if user:
        shutil.chown(directory, user)
    if not (data / "PG_VERSION").exists():
        command = [initdb, "-D", str(data), "-U", "sagas", "--auth=trust", "--encoding=UTF8"]
        made = subprocess.run(
            command,
            cwd=directory,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise SystemExit(
                f"initdb failed; can {user or 'this user'} reach {directory}?\n{made.stderr}"
            )
    settings = SETTINGS | {"port": str(port), "unix_socket_directories": str(directory)}
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = process(directory)
    server.start([need("postgres", PACKAGE), "-D", str(data), *flags], user=user)
    server.wait_until(lambda: _query(port, "postgres", "SELECT 1"))
    if not _query(port, "sagas", "SELECT 1"):
        _query(port, "postgres", "CREATE DATABASE sagas")


def environment(port: int) -> dict[str, str]:
    """Say where clients find it; the user may make schemas and databases of its own."""
    return {"SAGAS_POSTGRESQL": f"postgresql+asyncpg://sagas@127.0.0.1:{port}/sagas"}


def _query(port: int, database: str, sql: str) -> bool:
    where = f"postgresql://sagas@127.0.0.1:{port}/{database}"
    command = [need("psql", "postgresql-client-15"), "-qXd", where, "-c", sql]
    return not subprocess.run(command, capture_output=True, check=False).returncode
