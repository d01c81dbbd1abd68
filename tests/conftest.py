"""Where the real servers are, and what happens when they are not there.

`scripts/stack up` starts them and writes the addresses to `.stack/env`. One stack serves all
tests at once, so every test makes topics, keys and schemas with names of its own.
"""

import os
from collections.abc import Iterable, Iterator

import pytest

SERVERS = {
    "kafka_servers": "SAGAS_KAFKA",
    "redis_url": "SAGAS_REDIS",
    "postgresql_url": "SAGAS_POSTGRESQL",
}


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark what asks for a server, so that `-m "not real"` cannot miss one."""
    for item in items:
        if not SERVERS.keys().isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say right before pytest's counts that something else has failed; `scripts/test` tells it."""
    yield
    if os.environ.get("SAGAS_CHECK_FAILED") == "1":
        terminalreporter.write_line("scripts/check FAILED: see above", red=True)


@pytest.fixture(scope="session")
def kafka_servers() -> str:
    """The real Kafka's `host:port`."""
    return _address("kafka_servers")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The real Redis's URL."""
    return _address("redis_url")


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """The real PostgreSQL's URL, for SQLAlchemy with asyncpg."""
    return _address("postgresql_url")


def _address(fixture: str) -> str:
    """Read the address; without one, skip at a developer's and fail where servers are promised."""
    variable = SERVERS[fixture]
    if address := os.environ.get(variable):
        return address
    message = f"{variable} is not set: scripts/stack up; set -a; . .stack/env; set +a"
    if os.environ.get("CI") or os.environ.get("SAGAS_REQUIRE_SERVERS"):
        pytest.fail(message)
    pytest.skip(message)
