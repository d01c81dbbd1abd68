"""What rows keep, and that it is read back as it was."""

from __future__ import annotations

import re

import pytest

from sagas.core.definition import START, Role
from sagas.core.errors import ContractViolation
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.core.position import Position
from sagas.wire.envelope import Envelope, Trail
from sagas.wire.stored import (
    decode_event,
    decode_instance,
    decode_position,
    encode_event,
    encode_instance,
    fingerprint_of,
)
from tests.simulation.purchase import Purchase

DEFINITION = Purchase.definition
TYPES = (("front.Placed.v1", START), ("till.Paid.v1", "pay"), ("depot.Shipped.v1", "ship"))
HEX = ["0123456789abcdef" * 2, "f" * 32, "0" * 32]
NOW_MS = 1_700_000_000_000


def instance_of(
    ids: list[str], times: tuple[int, ...] = (0, 5, 9), deadline_ms: int | None = None
) -> Instance:
    instance, cause = Instance(DEFINITION, "p", deadline_ms=deadline_ms), None
    for (type_, step), id_, after_ms in zip(TYPES, ids, times, strict=False):
        fact = Fact(id_, type_, step, Role.DONE, cause, at_ms=NOW_MS + after_ms)
        instance, cause = evolve(instance, fact), id_
    return instance


@pytest.mark.parametrize(
    "ids",
    [
        HEX,
        [HEX[0], HEX[1], "not ours"],
        [HEX[0].upper(), *HEX[1:]],
        ["a" * 30, "b" * 34, "c" * 32],
        ["a" * 31 + " ", *HEX[1:]],
        ["٣" * 32, *HEX[1:]],
        HEX[:2],
        HEX[:1],
    ],
)
@pytest.mark.parametrize("times", [(0, 5, 9), (0, -5, -900), (0, 0, 0)])
@pytest.mark.parametrize("deadline_ms", [None, NOW_MS + 7, NOW_MS - 7])
def test_a_state_is_read_as_it_was_written(
    ids: list[str], times: tuple[int, ...], deadline_ms: int | None
) -> None:
    instance = instance_of(ids, times, deadline_ms)
    state = encode_instance(instance)
    read = decode_instance(DEFINITION, "p", state)
    assert decode_position(DEFINITION, "p", state) == Position.of(instance)
    assert dict(read.facts) == dict(instance.facts)
    assert (read.phase, read.deadline_ms) == (instance.phase, deadline_ms)


def test_what_has_ended_is_shorter() -> None:
    ours, others = instance_of(HEX), instance_of(["x" * 32, "y" * 32, "z" * 32])
    assert len(encode_instance(others)) - len(encode_instance(ours)) > 35
    assert HEX[1].encode() in encode_instance(instance_of(HEX[:2])), "one under way is read often"


@pytest.mark.parametrize("ids", ['"AAAA"', '"%"', '""', '"A"', '"AAAA===="', "{}", "7"])
@pytest.mark.parametrize(
    "times", ["[1,2,3]", '["a","b","c"]', '{"0":1}', "[]", '"abc"', "[1.5,1,1]"]
)
def test_a_state_that_is_none_is_said_in_words(ids: str, times: str) -> None:
    place = encode_instance(instance_of(HEX)).partition(b"\n")[0]
    with pytest.raises(ContractViolation, match="damaged"):
        decode_instance(DEFINITION, "p", place + f"\n[5,{ids},{times},[]]".encode())


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ('[true,["a"],[5],[]]', "ValidationError: 0 Input should be a valid integer"),
        ('[5,["a",null],[5],[]]', "ValidationError: 1"),
        ('[5,["a"],[5],[7]]', "ValidationError: 3.0 Input should be a valid string"),
        ('[5,["a"],[5]]', "ValidationError: 3 Field required"),
        ('[5,["a"]', "Invalid JSON"),
        ('[5,["a"],[5,5],[]]', "1 events with 1 ids and 2 times"),
        ('[-6,["a"],[5],[]]', "a time that nobody can write down"),
        ('[null,["a"],[250000000000000],[]]', "a time that nobody can write down"),
        ('[null,["a"],[-1],[]]', "a time that nobody can write down"),
    ],
)
def test_what_is_damaged_is_said_without_its_value(own: str, words: str) -> None:
    place = encode_instance(instance_of(HEX[:1])).partition(b"\n")[0]
    with pytest.raises(ContractViolation, match=re.escape(words)):
        decode_position(DEFINITION, "p", place + b"\n" + own.encode())


def test_a_cause_that_is_missing_is_damage() -> None:
    (first,) = instance_of(HEX[:1]).facts.values()
    instance = evolve(Instance(DEFINITION, "p"), first._replace(cause="elsewhere"))
    place = encode_instance(instance).partition(b"\n")[0]
    with pytest.raises(ContractViolation, match="a cause is missing"):
        decode_position(DEFINITION, "p", place + b'\n[null,["a"],[5],[]]')


@pytest.mark.parametrize("correlation_id", ["p", None, "other", ""])
@pytest.mark.parametrize("tenant", [None, "t"])
@pytest.mark.parametrize("folded", [(), ("a" * 16,)])
@pytest.mark.parametrize("tracestate", [None, "vendor=1"])
def test_an_event_is_read_as_it_was_written(
    correlation_id: str | None,
    tenant: str | None,
    folded: tuple[str, ...],
    tracestate: str | None,
) -> None:
    fact = instance_of(HEX).facts["till.Paid.v1"]
    envelope = Envelope(
        *(fact.id, fact.type, "till", fact.at_ms, "purchase", "p", b"pay\nload", fact.cause),
        *("fingerprint", 2, 1, 0, False, "RUNNING", folded),
        Trail(correlation_id, tenant, NOW_MS, "00-1-2-01", tracestate),
    )
    assert decode_event(encode_event(envelope), "purchase", "p", fact) == envelope


def test_the_first_event_tells_the_definition() -> None:
    def stored(fingerprint: str | None, generation: int, seq: int) -> bytes:
        return encode_event(
            Envelope(
                *("id", "t", "s", 1, "purchase", "p", b"{}"),
                fingerprint=fingerprint,
                generation=generation,
                seq=seq,
            )
        )

    assert fingerprint_of([stored("c", 2, 1), stored("b", 1, 3), stored("a", 1, 2)]) == "a"
    assert fingerprint_of([stored("b", 1, 3), stored(None, 0, 0)]) == "b"
    assert fingerprint_of([stored(None, 0, 0)]) is None
    assert fingerprint_of([]) is None
    with pytest.raises(ContractViolation):
        fingerprint_of([b"[]"])
