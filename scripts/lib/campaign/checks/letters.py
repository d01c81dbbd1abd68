"""Dead letters: poison is among them, bytes untouched, and nothing real is left there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from campaign.poison import Poison
from campaign.records import Place, Seen

__all__ = ["by_reason", "findings"]


def by_reason(records: Iterable[Seen], poison: Collection[Place]) -> dict[str, int]:
    """How many letters there are, by what they are about, whose they are, and why."""

    def words() -> Iterator[str]:
        for one in records:
            if one.is_letter:
                kind = "poison" if _original_of(one) in poison else "real"
                yield f"{kind}: {one.header('dlq-service')}: {one.header('dlq-exception')}"

    return dict(sorted(Counter(words()).items()))


def _original_of(record: Seen) -> Place:
    """Where the record was read that the letter, or what resolves it, is about."""
    partition, offset = record.header("dlq-partition"), record.header("dlq-offset")
    return Place(record.header("dlq-topic"), int(partition), int(offset))


def findings(records: Sequence[Seen], poison: Mapping[Place, Poison]) -> Iterator[str]:
    """What is wrong with the letters of all topics."""
    by_place = {one.place: one for one in records}
    about: defaultdict[Place, list[Seen]] = defaultdict(list)
    resolved: defaultdict[Place, set[str]] = defaultdict(set)
    for one in records:
        if one.is_letter:
            about[_original_of(one)].append(one)
        elif one.header("dlq-resolved"):
            resolved[_original_of(one)].add(one.header("dlq-resolved"))
    yield from _poison(poison, about)
    for place, letters in about.items():
        yield from _kept(place, by_place.get(place), letters)
        wanted = {"discarded"} if place in poison else {"replayed"}
        if resolved[place] != wanted:
            reason = letters[0].header("dlq-reason")
            yield f"The dead letter about {_words(place)} ({reason}) is not {wanted}."


def _poison(poison: Mapping[Place, Poison], about: Mapping[Place, list[Seen]]) -> Iterator[str]:
    for place, bad in poison.items():
        if bad.is_letter and place not in about:
            yield f"Poison ({bad.name}) at {_words(place)} is no dead letter of anybody."
        if not bad.is_letter and place in about:
            yield f"What is nobody's business ({bad.name}) at {_words(place)} is a dead letter."


def _kept(place: Place, original: Seen | None, letters: Iterable[Seen]) -> Iterator[str]:
    if original is None:
        yield f"There is a dead letter about {_words(place)}, and no such record."
        return
    for letter in letters:
        whole = letter.value == original.value and letter.key == original.key
        kept = letter.headers[: len(original.headers)] == original.headers
        if not (whole and kept) and not letter.header("dlq-omitted"):
            yield f"The dead letter about {_words(place)} is not the record as it was."


def _words(place: Place) -> str:
    return f"{place.topic}-{place.partition}-{place.offset}"
