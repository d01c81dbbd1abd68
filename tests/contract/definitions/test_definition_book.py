"""The book of definitions on memory and on Redis, for one suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from sagas.adapters.memory.definitions import MemoryDefinitionBook
from sagas.adapters.redis.definitions import RedisDefinitionBook
from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.ports import TableUnavailable
from sagas.ports.definitions import DefinitionBook
from tests.contract.table.conftest import user_of_sagas


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis", marks=pytest.mark.real),
        pytest.param("redis-user", marks=pytest.mark.real),
    ]
)
def book(request: pytest.FixtureRequest) -> Iterator[DefinitionBook]:
    if request.param == "memory":
        yield MemoryDefinitionBook()
        return
    url, name = request.getfixturevalue("redis_url"), f"test-{uuid4().hex}"
    with ExitStack() as stack:
        if request.param == "redis-user":
            url = stack.enter_context(user_of_sagas(url, name, ["a", "b"]))
        yield RedisDefinitionBook(RedisTableSettings(url=SecretStr(url), namespace=name))
    with Redis.from_url(request.getfixturevalue("redis_url")) as client:
        client.unlink(*map(Keys(name).definitions, ("a", "b")))


async def test_nothing_is_kept_at_first(book: DefinitionBook) -> None:
    assert await book.kept("a") == {}
    await book.forget("a", "1")


async def test_what_is_kept_is_kept_by_saga_and_fingerprint(book: DefinitionBook) -> None:
    await book.keep("a", "1", b"one")
    await book.keep("a", "2", b"\x00\xfftwo")
    await book.keep("b", "1", b"other")
    await book.keep("a", "1", b"one")
    assert await book.kept("a") == {"1": b"one", "2": b"\x00\xfftwo"}
    await book.forget("a", "1")
    await book.forget("a", "1")
    assert await book.kept("a") == {"2": b"\x00\xfftwo"}
    assert await book.kept("b") == {"1": b"other"}


async def test_a_server_that_is_away_is_told_so() -> None:
    settings = RedisTableSettings(url=SecretStr("redis://:secret@127.0.0.1:1"), timeout_ms=500)
    with pytest.raises(TableUnavailable) as raised:
        await RedisDefinitionBook(settings).kept("a")
    assert "127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)
