"""Hostile text on an operator's terminal and in logs: it moves no cursor, and is no markup."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
import structlog
from hypothesis import given

from sagas.cli import listing, show
from sagas.cli.letters import print_letters, print_shown
from sagas.cli.output import local_time, print_json, recent_time
from sagas.core.definition import STEP_FAILED, Direction, Role
from sagas.core.evolve import evolve
from sagas.core.framework_events import StepFailed
from sagas.core.instance import Fact, Instance
from sagas.observability.logs import configure_logs
from sagas.operating.lookup import Found
from sagas.operating.moments import rfc3339
from sagas.ports import Listed, Record, Row, Stamp
from sagas.runtime.dead_letter_box import fold
from sagas.runtime.views import view_of
from sagas.wire.envelope import Envelope
from sagas.wire.stored import encode_event, encode_instance
from tests.fuzz import generators
from tests.fuzz.judging import DEFINITION, TOPICS, check_shown
from tests.samples import OrderFulfilment

HOSTILE = "\x1b[2J\x9b31m\u202e[/bold][red]\x07\r\ud800"


def failed(text: str) -> Found:
    """A saga that has turned back, with hostile words wherever somebody else chooses them."""
    instance = Instance(DEFINITION, "o1")
    payload = StepFailed(step="reserve_stock", error="", attempts=1).model_dump() | {"error": text}
    events = {}
    for type_, step, role, body in (
        ("orders.OrderPlaced.v1", "start", Role.DONE, {"order_id": "o1", "items": [text]}),
        (STEP_FAILED, "reserve_stock", Role.FAILED, payload),
    ):
        fact = Fact(f"id-{step}", type_, step, role, None, Direction.FORWARD, at_ms=1)
        instance = evolve(instance, fact)
        envelope = Envelope(
            id=fact.id,
            type=type_,
            source=text.encode(errors="replace").decode(),
            time_ms=1,
            saga=DEFINITION.saga,
            saga_id="o1",
            payload=json.dumps(body).encode(),
        )
        events[fact.slot] = encode_event(envelope)
    row = Row(Stamp(1, 2), encode_instance(instance), events)
    return Found(OrderFulfilment, "o1", row, instance, several=False)


def print_list(found: Found) -> None:
    view = view_of(DEFINITION, "o1", found.row)
    listed = Listed(saga=DEFINITION.saga, saga_id="o1", status="PARKED", changed_at_ms=10**30)
    lines = [listing._Line(listed, view), listing._Line(listed, None, view.reason or "")]
    counts = {"COMPENSATING": 2}
    listing._print_table(listing._Found(lines, counts, (), "n"), ["COMPENSATING"], several=True)
    listing._print_json(listing._Found(lines, counts, (), "n"))


def print_saga(found: Found) -> None:
    show._print_tables(found, payloads=True)
    show._print_json(found, payloads=True)


@pytest.mark.parametrize("show_it", [print_list, print_saga])
@pytest.mark.parametrize("width", ["40", "200"])
def test_a_saga_is_shown_whatever_its_events_say(
    show_it: Callable[[Found], None],
    width: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    show_it(failed(HOSTILE))
    out = capsys.readouterr().out
    check_shown(out)
    assert "x1b[2J" in out.replace("\n", "")


@given(generators.texts)
def test_json_for_scripts_is_exact_and_prints_nothing_odd(text: str) -> None:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out)
        print_json({"text": text, text: [text]})
    check_shown(out.getvalue())
    assert json.loads(out.getvalue()) == {"text": text, text: [text]}


@pytest.mark.parametrize("ms", [-(2**63), -1, 0, 2**63 - 1, 10**30])
def test_a_time_that_is_none_can_be_shown(ms: int) -> None:
    for shown in (local_time(ms), local_time(ms, milliseconds=True), recent_time(ms), rfc3339(ms)):
        assert shown.isprintable()


def test_a_forged_letter_neither_floods_nor_breaks_the_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def forged(**changed: bytes) -> Record:
        said = {
            "dlq-topic": b"fuzz.orders.events",
            "dlq-partition": b"0",
            "dlq-offset": b"1",
            "dlq-reason": b"r" * 500_000,
            "dlq-time-ms": b"9" * 19,
        } | {name.replace("_", "-"): value for name, value in changed.items()}
        topic = TOPICS.dead_letters("inventory")
        return Record(topic, 0, 0, b"k", b"v", tuple(said.items()), 2**63 - 1)

    letters = fold([forged(), forged(dlq_topic=b"t" * 1_000_000), forged(dlq_topic=b"\x1b[2J")])
    (letter,) = letters
    print_letters(letters, resolved=False)
    print_shown(letter)
    out = capsys.readouterr().out
    check_shown(out)
    assert len(out) < 100_000


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_log_line_is_one_line_whatever_is_in_it(form: str) -> None:
    out = io.StringIO()
    try:
        configure_logs("info", form, out)
        log = structlog.get_logger()
        log.error("message.dead_lettered", reason=HOSTILE + "\nforged", deep=[HOSTILE])
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            log.exception("handler.failed")
    finally:
        structlog.reset_defaults()
    text = out.getvalue()
    check_shown(text)
    assert text.startswith("{") or "\\nforged" in text.splitlines()[0]
    assert len(text.splitlines()) == 2 or form == "console"
