"""Where a saga stands, in plain words: a pure function of its record, what is known around it, and now.

Owns the words and the judgement whether a saga is stuck, for the command line and for pages alike. Never
looks anything up, never decides: what is said to follow, the functions of the core say that decide it.

``explain`` and ``explain_row`` give an ``Explanation``: its ``sentences`` to be read, with every moment kept
apart from the text (``Sentence.parts``), so that each reader sees it in their zone; its other fields to be
shown or counted; ``document_of`` all of it as JSON has it.
"""

from sagas.operating.explaining.absent import (
    explain_missing,
    explain_row,
    explain_table,
    explain_unreadable,
)
from sagas.operating.explaining.awaited import (
    Attempt,
    Awaited,
    AwaitedKind,
    Consequence,
    Then,
    awaited,
)
from sagas.operating.explaining.document import document_of
from sagas.operating.explaining.explain import explain
from sagas.operating.explaining.explanation import Expected, Explanation, Situation
from sagas.operating.explaining.sentences import About, Moment, Sentence
from sagas.operating.explaining.stuck import StuckReason, StuckRules, Why, stuck_reasons, unreadable
from sagas.operating.explaining.surroundings import LetterFact, ServiceFact, Surroundings, Usual
from sagas.operating.explaining.usual import usual_of
from sagas.operating.mending import Mend, mends_of, refusal_of
from sagas.operating.moments import span

__all__ = [
    "About",
    "Attempt",
    "Awaited",
    "AwaitedKind",
    "Consequence",
    "Expected",
    "Explanation",
    "LetterFact",
    "Mend",
    "Moment",
    "Sentence",
    "ServiceFact",
    "Situation",
    "StuckReason",
    "StuckRules",
    "Surroundings",
    "Then",
    "Usual",
    "Why",
    "awaited",
    "document_of",
    "explain",
    "explain_missing",
    "explain_row",
    "explain_table",
    "explain_unreadable",
    "mends_of",
    "refusal_of",
    "span",
    "stuck_reasons",
    "unreadable",
    "usual_of",
]
