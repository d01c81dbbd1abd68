"""Waiting for a server that is away, and what is said of it."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from sagas.ports import TableUnavailable
from sagas.runtime.patience import Patience


class Hours:
    """A clock that goes on when somebody sleeps; those who sleep at the same time do so together."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        until = self.ms + round(seconds * 1000)
        await asyncio.sleep(0)
        self.ms = max(self.ms, until)


class Server:
    def __init__(self) -> None:
        self.failures_left = 0

    async def call(self) -> str:
        await asyncio.sleep(0)
        if self.failures_left:
            self.failures_left -= 1
            raise TableUnavailable("Redis does not answer")
        return "answer"


async def told_by(calls: int, failures: int) -> tuple[list[str], list[str]]:
    """What calls at the same time are answered, and what is logged."""
    server, patience = Server(), Patience(Hours(), pause_s=0.05, pause_max_s=0.05)
    server.failures_left = failures
    with capture_logs() as lines:
        answers = await asyncio.gather(*(patience.insist(server.call) for _ in range(calls)))
    return answers, [str(line["event"]) for line in lines]


async def test_one_call_says_when_the_server_goes_and_when_it_is_back() -> None:
    answers, told = await told_by(1, failures=4)
    assert answers == ["answer"]
    assert told == ["server.unavailable", "server.available"]


async def test_five_hundred_messages_that_wait_for_one_server_say_it_once() -> None:
    answers, told = await told_by(500, failures=500)
    assert answers == ["answer"] * 500
    assert told == ["server.unavailable", "server.available"]


async def test_a_server_that_stays_away_is_told_of_again() -> None:
    _, told = await told_by(1, failures=250)
    assert told.count("server.unavailable") == 3
    assert told.count("server.available") == 1


async def test_a_second_outage_is_told_of_like_the_first() -> None:
    server, patience = Server(), Patience(Hours())
    with capture_logs() as lines:
        for _ in range(2):
            server.failures_left = 1
            await patience.insist(server.call)
    assert [line["event"] for line in lines] == ["server.unavailable", "server.available"] * 2
