"""A saga of which nothing can be read: not found, written by another version, or lost with the table.

Owns what is said then. ``explain_row`` is the way in for whoever has loaded a row.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.saga import Saga
from sagas.operating.explaining.explain import explain
from sagas.operating.explaining.explanation import Explanation, Situation
from sagas.operating.explaining.sentences import About, Moment, Sentence, listed, say
from sagas.operating.explaining.stuck import StuckRules, unreadable
from sagas.operating.explaining.surroundings import Surroundings
from sagas.operating.explaining.telling import letter_sentence
from sagas.operating.mending import Mend
from sagas.operating.moments import span
from sagas.operating.payloads import contracts_of, shown_payload
from sagas.ports import BUCKETS, Row, bucket_of
from sagas.wire.stored import decode_event, decode_instance, fingerprint_of

__all__ = ["explain_missing", "explain_row", "explain_table", "explain_unreadable"]


def explain_row(
    saga: type[Saga],
    saga_id: str,
    row: Row,
    *,
    now_ms: int,
    around: Surroundings | None = None,
    rules: StuckRules | None = None,
    several: bool = False,
) -> Explanation:
    """Explain an instance by its row, loaded with its events; also one that another version has written.

    What events carry is told without what is personal: explanations are passed on.
    """
    definition = saga.definition
    try:
        instance = decode_instance(
            definition,
            saga_id,
            row.state,
            notes=row.notes,
            generation=row.stamp.generation,
            version=row.stamp.version,
        )
        contracts = contracts_of(saga)
        payloads = {
            slot: shown_payload(
                contracts.get(fact.type),
                decode_event(row.events[slot], definition.saga, saga_id, fact).payload,
            )
            for slot, fact in instance.facts.items()
            if slot in row.events
        }
    except (ContractViolation, InvalidMessage) as error:
        return explain_unreadable(saga, saga_id, str(error), now_ms=now_ms, row=row)
    return explain(
        instance,
        now_ms=now_ms,
        saga=saga,
        notes=row.notes,
        payloads=payloads,
        around=around,
        rules=rules,
        several=several,
    )


def explain_unreadable(
    saga: type[Saga], saga_id: str, error: str, *, now_ms: int, row: Row | None = None
) -> Explanation:
    """What to say of a row that is not understood, or (``None``) that can not even be loaded."""
    own = saga.definition.fingerprint
    try:
        recorded = None if row is None else fingerprint_of(row.events.values())
    except ContractViolation:
        recorded = None
    reason = unreadable(saga.name, error, now_ms)
    sentences = [reason.sentence]
    if recorded is not None and recorded != own:
        sentences.append(
            say(
                About.TABLE,
                f"It has begun under the definition {recorded}; this project's is {own}. Look at it from a "
                "checkout that has that definition: `sagas definitions` says which ones workers have.",
            )
        )
    return Explanation(
        saga=saga.name,
        saga_id=saga_id,
        situation=Situation.UNREADABLE,
        now_ms=now_ms,
        sentences=tuple(sentences),
        stuck=(reason,),
        choices=(
            Mend("sagas definitions", "lists the definitions that workers have started with"),
        ),
    )


def explain_missing(
    saga_id: str,
    sagas: Sequence[type[Saga]],
    *,
    now_ms: int,
    namespace: str,
    address: str,
    keep_ended_ms: int | None,
    around: Surroundings | None = None,
) -> Explanation:
    """What to say where there is no row: what was looked at, and what may be behind it."""
    names = listed(saga.name for saga in sagas)
    sentences: list[Sentence] = [
        say(
            About.HEAD,
            f"There is no {saga_id!r} in the saga table of {names} (namespace {namespace}, Redis at "
            f"{address}): it was not started, or its start is not handled yet, or it has been forgotten.",
        )
    ]
    if keep_ended_ms is None:
        sentences.append(say(About.TABLE, "Ended sagas are kept for ever here (SAGAS_KEEP_ENDED)."))
    else:
        sentences.append(
            say(
                About.TABLE,
                f"Ended sagas are forgotten after {span(keep_ended_ms)} (SAGAS_KEEP_ENDED): one that ended "
                "before ",
                Moment(now_ms - keep_ended_ms),
                " is not here any more.",
            )
        )
    letters, quoted = None if around is None else around.letters, shlex.quote(saga_id)
    if letters is None:
        sentences.append(say(About.LETTER, "Nobody has looked whether its start is a dead letter."))
    sentences.extend(map(letter_sentence, letters or ()))
    return Explanation(
        saga=sagas[0].name if len(sagas) == 1 else "",
        saga_id=saga_id,
        situation=Situation.NOT_FOUND,
        now_ms=now_ms,
        sentences=tuple(sentences),
        letters=letters,
        choices=(
            *(
                Mend(
                    f'sagas dead-letters replay {one} --why "..."',
                    "hands out the message again, once what it says is mended",
                )
                for one in dict.fromkeys(letter.id for letter in letters or ())
            ),
            Mend("sagas list", "shows which there are"),
            Mend(f"sagas dead-letters list --saga-id {quoted}", "looks for its messages there"),
            Mend(f"sagas rebuild --saga-id {quoted}", "puts it back if the topics have it"),
        ),
    )


def explain_table(saga: str, saga_id: str, *, rebuilding: bool, now_ms: int) -> Explanation:
    """What to say where the part of the table that would hold it is lost, or being rebuilt."""
    bucket = bucket_of(saga_id)
    if rebuilding:
        words = (
            f"Bucket {bucket} of the saga table of {saga}, in which {saga_id!r} would be, is being rebuilt "
            "from the topics: ask again in a moment. Its messages wait meanwhile, and nothing is lost."
        )
        choices = [
            Mend(f"sagas verify --saga {saga}", "compares the table with the topics afterwards")
        ]
    else:
        words = (
            f"Bucket {bucket} of {BUCKETS} of the saga table of {saga}, in which {saga_id!r} would be, is "
            "lost, or no worker has prepared it yet. Running workers rebuild it from the topics. If they do "
            "not, see that SAGAS_NAMESPACE and SAGAS_REDIS are the same here as there."
        )
        choices = [
            Mend(f"sagas rebuild --saga {saga} --bucket {bucket}", "rebuilds it without workers")
        ]
    return Explanation(
        saga=saga,
        saga_id=saga_id,
        situation=Situation.REBUILDING if rebuilding else Situation.LOST,
        now_ms=now_ms,
        sentences=(say(About.HEAD, words),),
        choices=tuple(choices),
    )
