"""What must hold of any input: it is understood, passed over, or refused in words. Nothing else is raised.

Shared by the Hypothesis tests and the coverage-guided harness. What is accepted must also be fit to be
stored, published and read again: a message that is taken in and can then not be written is poison, too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout

from sagas.cli.letters import print_letters, print_shown, shown_json
from sagas.cli.output import print_json
from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.evolve import evolve
from sagas.core.instance import Instance
from sagas.core.timers import timers_of
from sagas.ports import Record, Row, Stamp
from sagas.runtime.dead_letter_box import Letter, fold
from sagas.runtime.incoming import Incoming, decode_incoming, decode_payload
from sagas.runtime.subscription import Subscription
from sagas.runtime.views import view_of
from sagas.wire.envelope import decode_headers, encode_headers
from sagas.wire.stored import decode_event, decode_instance, encode_event, encode_instance
from sagas.wire.topics import Topics
from sagas.wire.trace import child_of, trace_id
from tests.handlers import Shop
from tests.samples import OrderFulfilment

__all__ = [
    "DEFINITION",
    "TOPICS",
    "check_words",
    "judge_letters",
    "judge_record",
    "judge_row",
    "judge_trace",
]

TOPICS = Topics("fuzz")
DEFINITION = OrderFulfilment.definition
SUBSCRIPTIONS = tuple(Subscription(service, TOPICS) for service in Shop().services)
WORDS_MAX = 1_000


def check_words(text: str) -> None:
    """Fit for a log line, a header and a terminal."""
    assert text
    assert len(text) <= WORDS_MAX
    assert text.isprintable(), ascii(text)


def judge_record(record: Record) -> str:
    """What comes of a record: ``decoded``, ``refused`` or ``passed over``, by whoever reads it."""
    outcome = "passed over"
    for subscription in SUBSCRIPTIONS:
        try:
            interest = subscription.interest(record)
            if interest is None:
                continue
            envelope = decode_headers(
                record.headers, record.value or b"", time_ms=record.timestamp_ms
            )
            for observer in interest.observers:
                if interest.event_type in observer.event_types:
                    model = observer.events[interest.event_type]
                    decode_payload(model, interest.event_type, envelope.payload)
            if interest.saga is not None:
                _check_accepted(decode_incoming(envelope, interest.saga, interest.event_type))
            outcome = "decoded"
        except InvalidMessage as error:
            check_words(str(error))
            outcome = "refused"
    return outcome


def _check_accepted(incoming: Incoming) -> None:
    """It can be published and, unless it is a control message, stored, read and shown."""
    envelope = incoming.envelope
    assert decode_headers(encode_headers(envelope), envelope.payload, time_ms=0) == envelope
    assert incoming.saga_id.isprintable()
    assert incoming.fact.id.isprintable()
    child_of(envelope.trail.traceparent, envelope.id)
    if incoming.control is not None:
        return
    stored = encode_event(envelope)
    assert decode_event(stored, incoming.saga.name, incoming.saga_id, incoming.fact) == envelope
    instance = evolve(Instance(DEFINITION, incoming.saga_id), incoming.fact)
    state = encode_instance(instance._replace(deadline_ms=envelope.trail.deadline_ms))
    decoded = decode_instance(DEFINITION, incoming.saga_id, state, version=1)
    assert decoded.facts.keys() == instance.facts.keys()
    timers_of(decoded)
    events = dict.fromkeys(instance.facts, stored)
    view_of(DEFINITION, incoming.saga_id, Row(Stamp(1, 1), state, events))


def judge_row(state: bytes, events: Mapping[str, bytes]) -> str:
    """What comes of a row: ``read``, or ``refused`` in words."""
    try:
        view_of(DEFINITION, "o1", Row(Stamp(1, 1), state, events))
        timers_of(decode_instance(DEFINITION, "o1", state))
    except ContractViolation as error:
        check_words(str(error))
        return "refused"
    return "read"


def judge_letters(records: Sequence[Record]) -> list[Letter]:
    """The letters of a dead-letter topic; each can be listed and shown, and prints nothing else."""
    letters = fold(records)
    out = io.StringIO()
    with redirect_stdout(out):
        print_letters(letters, resolved=True)
        for letter in letters:
            print_shown(letter)
            print_json(shown_json(letter))
    check_shown(out.getvalue())
    return letters


def check_shown(text: str) -> None:
    """Nothing that moves a cursor, rings, colours, or turns the direction of writing."""
    bare = text.replace("\n", "")
    assert bare.isprintable(), ascii("".join(one for one in bare if not one.isprintable()))
    text.encode()


def judge_trace(traceparent: str) -> None:
    """A context of the same form for whatever context came in."""
    child = child_of(traceparent, "id")
    assert trace_id(child) is not None
