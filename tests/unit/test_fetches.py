"""Cheap fetches say and understand what aiokafka's own do."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from hypothesis import given
from hypothesis import strategies as st

from sagas.adapters.kafka.fetches import Asked, Asking, Seldom, swift

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text("abcdefg.é", min_size=1, max_size=20)
ASKED = st.lists(st.tuples(NAMES, st.lists(st.tuples(INT32, INT64, INT32), max_size=4)), max_size=4)
PARTITION = st.tuples(
    INT32,
    st.sampled_from([0, 1, 3]),
    *(INT64, INT64, INT64),
    st.none() | st.lists(st.tuples(INT64, INT64), max_size=3),
    st.sampled_from([-1, -1, 5]),
    st.none() | st.binary(max_size=20),
)
ANSWERED = st.lists(st.tuples(NAMES, st.lists(PARTITION, max_size=4)), max_size=4)

KNOWS_ALL = {1: (0, 17)}


class Client(AIOKafkaClient):  # type: ignore[misc] # aiokafka has no types
    """Keeps what is sent, and answers nothing."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, node_id: object, request: Any, **how: object) -> FetchResponse_v11:
        self.sent.append(request)
        return FetchResponse_v11(0, 0, 0, [("a", [(0, 0, 1, 1, 0, [], -1, b"records")])])


async def sent(request: Any, seldom: Seldom | None = None) -> Any:
    client = Client()
    swift(client, seldom or Seldom({}))
    await client.send(1, request)
    return client.sent[0]


@given(asked=ASKED, limits=st.tuples(INT32, INT32, INT32, st.sampled_from([0, 1])), rack=NAMES)
async def test_a_request_has_the_bytes_that_aiokafka_sends(
    asked: Asked, limits: tuple[int, int, int, int], rack: str
) -> None:
    request = FetchRequest(*limits, asked, rack_id=rack)
    packed = (await sent(request)).prepare(KNOWS_ALL)
    assert packed.API_VERSION == FetchRequest_v11.API_VERSION
    assert packed.encode() == request.prepare(KNOWS_ALL).encode()


async def test_an_older_broker_gets_its_version_and_other_requests_pass() -> None:
    request = FetchRequest(1, 2, 3, 0, [("a", [(0, 1, 2)])])
    for newest in (4, 7, 10):
        old = (await sent(request)).prepare({1: (0, newest)})
        assert old.encode() == request.prepare({1: (0, newest)}).encode()
    assert await sent("anything else") == "anything else"


@given(answered=ANSWERED, throttled=INT32)
async def test_an_answer_is_what_aiokafka_reads_less_what_is_empty(
    answered: list[tuple[str, list[tuple[Any, ...]]]], throttled: int
) -> None:
    body = FetchResponse_v11(throttled, 0, 7, answered).encode()
    read = (await sent(FetchRequest(1, 2, 3, 0, []))).prepare(KNOWS_ALL).RESPONSE_TYPE.decode
    expected = FetchResponse_v11.decode(body)
    says = [
        (name, kept)
        for name, partitions in expected.topics
        if (kept := [one for one in partitions if one[1] or one[6] >= 0 or one[7]])
    ]
    behind_header = BytesIO(b"head" + body)
    behind_header.seek(4)
    for found in (read(body), read(behind_header)):
        assert (found.throttle_time_ms, found.error_code, found.session_id) == (throttled, 0, 7)
        assert found.topics == says


@given(answered=ANSWERED, data=st.data())
async def test_an_answer_that_ends_too_early_is_an_error(
    answered: list[tuple[str, list[tuple[Any, ...]]]], data: st.DataObject
) -> None:
    body = FetchResponse_v11(0, 0, 0, answered).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    read = (await sent(FetchRequest(1, 2, 3, 0, []))).prepare(KNOWS_ALL).RESPONSE_TYPE.decode
    with pytest.raises(ValueError, match="end"):
        read(body[:cut])


BUSY, RARE = ("busy", ((0, 1, 9), (1, 1, 9))), ("rare", ((0, 1, 9),))


def test_what_is_in_no_hurry_is_asked_for_now_and_then_while_there_are_records() -> None:
    seldom = Seldom({"rare": 0.25})
    assert seldom.ask([BUSY, RARE], of=1, now=5.0) == Asking([BUSY, RARE])
    seldom.answered(of=1, with_records=True)
    assert seldom.ask([BUSY, RARE], of=1, now=5.125) == Asking([BUSY], within_s=0.125)
    assert seldom.ask([BUSY, RARE], of=1, now=5.25) == Asking([BUSY, RARE])
    assert seldom.ask([BUSY, RARE], of=1, now=5.375) == Asking([BUSY], within_s=0.125)
    seldom.answered(of=1, with_records=False)
    assert seldom.ask([BUSY, RARE], of=1, now=5.375) == Asking([BUSY, RARE]), "nothing comes"


RARER = ("rarer", ((0, 1, 9),))


def test_each_topic_has_its_own_turns() -> None:
    seldom = Seldom({"rare": 0.25, "rarer": 0.5})
    everything = [BUSY, RARE, RARER]
    assert seldom.ask(everything, of=1, now=5.0).asked == everything
    seldom.answered(of=1, with_records=True)
    assert seldom.waiting(5.125) == {0.25: 0.125, 0.5: 0.375}
    assert seldom.ask(everything, of=1, now=5.125) == Asking([BUSY], within_s=0.125)
    assert seldom.ask(everything, of=1, now=5.25) == Asking([BUSY, RARE], within_s=0.25)
    assert seldom.ask([RARE, RARER], of=1, now=5.25) == Asking([RARE, RARER], after_s=0.25)
    assert seldom.ask(everything, of=1, now=5.5) == Asking([BUSY], within_s=0.25)
    assert seldom.waiting(5.625) == {0.25: 0.125, 0.5: 0.375}
    seldom.ask(everything, of=2, now=5.0)
    assert seldom.waiting(5.625) == {}, "of another broker all is asked for"


def test_each_broker_is_asked_in_its_turn() -> None:
    seldom = Seldom({"rare": 0.2})
    for broker in (1, 2):
        assert seldom.ask([BUSY, RARE], of=broker, now=5.0).asked == [BUSY, RARE]
        seldom.answered(of=broker, with_records=True)
    for broker in (1, 2, 1, 2):
        assert seldom.ask([BUSY, RARE], of=broker, now=5.1).asked == [BUSY]
    for broker in (1, 2):
        assert seldom.ask([BUSY, RARE], of=broker, now=5.3).asked == [BUSY, RARE]


def test_where_nothing_is_in_a_hurry_the_question_waits_for_its_turn() -> None:
    seldom = Seldom({"rare": 0.25})
    assert seldom.ask([RARE], of=1, now=5.0) == Asking([RARE])
    seldom.answered(of=1, with_records=True)
    assert seldom.ask([RARE], of=1, now=5.125) == Asking([RARE], after_s=0.125)
    assert seldom.ask([RARE], of=1, now=5.375) == Asking([RARE], after_s=0.125)
    seldom.answered(of=1, with_records=False)
    assert seldom.ask([RARE], of=1, now=5.4) == Asking([RARE]), "nothing comes: it costs nothing"


async def test_a_broker_keeps_a_question_no_longer_than_until_the_next_one_is_due() -> None:
    request = FetchRequest(500, 2, 3, 0, [BUSY, RARE])
    client = Client()
    swift(client, Seldom({"rare": 0.2}))
    for _ in range(2):
        await client.send(1, request)
    first, second = client.sent
    assert first._max_wait_ms == 500
    assert 1 <= second._max_wait_ms <= 200


async def test_only_the_seldom_topics_are_left_out_on_the_wire() -> None:
    client = Client()
    swift(client, Seldom({"rare": 3600}))
    request = FetchRequest(1, 2, 3, 0, [BUSY, RARE])
    for _ in range(3):
        await client.send(1, request)
    assert [[name for name, _ in one.topics] for one in client.sent] == [
        ["busy", "rare"],
        ["busy"],
        ["busy"],
    ]
    assert [name for name, _ in request.topics] == ["busy", "rare"], "aiokafka's own is untouched"
