"""An explanation as JSON has it: for scripts, and for pages that show it.

Owns the keys. They are stable: new ones may come, none goes or changes its meaning.
"""

from __future__ import annotations

from collections.abc import Callable

from sagas.operating.explaining.explanation import Expected, Explanation
from sagas.operating.explaining.sentences import Sentence
from sagas.operating.explaining.stuck import StuckReason
from sagas.operating.explaining.surroundings import LetterFact, ServiceFact

__all__ = ["document_of"]

Written = Callable[[int], str]


def document_of(explanation: Explanation, written: Written) -> dict[str, object]:
    """All of it as JSON; ``written`` writes a moment in milliseconds since the epoch, such as in RFC 3339."""
    told, then = explanation, explanation.deadline_then
    return {
        "id": told.saga_id,
        "saga": told.saga or None,
        "situation": told.situation.value,
        "status": None if told.status is None else told.status.value,
        "state": told.state,
        "at": written(told.now_ms),
        "started_at": _moment(told.started_ms, written),
        "changed_at": _moment(told.since_ms, written),
        "ended_at": _moment(told.ended_ms, written),
        "text": told.text(written),
        "sentences": [_sentence(one, written) for one in told.sentences],
        "reason": told.reason,
        "waits_for": [_expected(one, written) for one in told.expects],
        "deadline": _moment(told.deadline_ms, written),
        "deadline_then": None
        if then is None
        else {"then": then.consequence.value, "event": then.event, "undoes": list(then.undoes)},
        "stuck": [_stuck(one, written) for one in told.stuck],
        "undone": list(told.undone),
        "to_undo": list(told.to_undo),
        "left": list(told.left),
        "dead_letters": None
        if told.letters is None
        else [_letter(one, written) for one in told.letters],
        "choices": [{"command": one.command, "does": one.does} for one in told.choices],
    }


def _moment(ms: int | None, written: Written) -> str | None:
    return None if ms is None else written(ms)


def _sentence(one: Sentence, written: Written) -> dict[str, object]:
    """``parts`` are text, and moments as ``{"at": …}``."""
    parts = [part if isinstance(part, str) else {"at": written(part.ms)} for part in one.parts]
    return {"about": one.about.value, "text": one.text(written), "parts": parts}


def _expected(one: Expected, written: Written) -> dict[str, object]:
    awaited, usual, then, tried = one.awaited, one.usual, one.awaited.then, one.awaited.attempt
    return {
        "kind": awaited.kind.value,
        "step": awaited.step,
        "service": awaited.service,
        "direction": awaited.direction.value,
        "epoch": awaited.epoch,
        "events": list(awaited.events),
        "since": written(awaited.since_ms),
        "due_at": _moment(awaited.due_ms, written),
        "then": None
        if then is None
        else {"then": then.consequence.value, "event": then.event, "undoes": list(then.undoes)},
        "usual": None
        if usual is None
        else {"half_ms": usual.half_ms, "most_ms": usual.most_ms, "samples": usual.samples},
        "attempt": None
        if tried is None
        else {
            "failed": tried.failed,
            "last_error": tried.error,
            "failed_at": written(tried.failed_at_ms),
            "next_at": written(tried.due_ms),
        },
        "at_work_at": _moment(awaited.at_work_ms, written),
        "workers": None if one.service is None else _service(one.service, written),
    }


def _service(fact: ServiceFact, written: Written) -> dict[str, object]:
    return {
        "service": fact.service,
        "count": fact.workers,
        "states": dict(fact.states),
        "lag": fact.lag,
        "last_error": fact.last_error,
        "error_at": _moment(fact.error_at_ms, written),
    }


def _stuck(one: StuckReason, written: Written) -> dict[str, object]:
    return {
        "why": one.why.value,
        "step": one.step,
        "service": one.service,
        "since": written(one.since_ms),
        "text": one.sentence.text(written),
    }


def _letter(one: LetterFact, written: Written) -> dict[str, object]:
    return {
        "id": one.id,
        "service": one.service,
        "event": one.event,
        "reason": one.reason,
        "at": written(one.at_ms),
    }
