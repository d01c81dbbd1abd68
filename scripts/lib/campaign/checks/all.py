"""All checks, one after the other, on a system at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from campaign import topics
from campaign.checks import endings, events, journals, letters, table
from campaign.checks import timers as timers_told
from campaign.schedule import TABLE_LOSS, Kind
from campaign.world import World
from services import books

__all__ = ["Judgement", "judge"]

_SHOWN_MAX = 25
"""Findings of one check; the rest is counted."""


@dataclass(slots=True)
class Judgement:
    """What is wrong, in words, and the figures of what was looked at."""

    findings: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """Ends that observers were told of and that a loss of the table took back: known and accepted."""

    def add(self, found: Iterable[str]) -> None:
        """Take in what one check has found."""
        listed = list(found)
        self.findings += listed[:_SHOWN_MAX]
        if len(listed) > _SHOWN_MAX:
            self.findings.append(f"… and {len(listed) - _SHOWN_MAX} more of this kind.")


async def judge(world: World, kinds: Iterable[Kind]) -> Judgement:
    """Read everything anew, and compare. Only the command line's views are the framework's own."""
    judgement = Judgement()
    records = await topics.everything(world.servers.kafka)
    good = [one for one in records if one.place not in world.poison]
    told, accepted = events.events_of(good), set(world.customers.accepted)
    lost = not TABLE_LOSS.isdisjoint(kinds)
    judgement.add(events.findings(told, known=good, accepted=accepted, table_lost=lost))
    statuses = endings.told_of(told)
    judgement.add(endings.findings(statuses, table_lost=lost))
    judgement.left = endings.left(statuses)
    judgement.add(letters.findings(records, world.poison))
    entries = await journals.read(world.databases)
    judgement.add(journals.findings(entries, told))
    judgement.add(await journals.outboxes(world.databases))
    found = await books.read(world.databases)
    listed, timers = await world.operators.listed(), await world.operators.timers()
    parked = {one["id"] for one in listed if one["status"] == "PARKED"}
    judgement.add(books.findings(_without(found, parked)))
    judgement.add(
        table.findings(
            listed,
            timers,
            accepted=accepted,
            told=endings.endings(statuses),
            noted=found.endings,
        )
    )
    verified = await world.operators.verified()
    judgement.add(table.differences(verified))
    judgement.add(await topics.lags(world.servers.kafka))
    judgement.ends = dict(Counter(one["status"] for one in listed))
    judgement.types = dict(events.by_type(told))
    judgement.letters = letters.by_reason(records, world.poison)
    replayed = sum(one.header("dlq-resolved") == "replayed" for one in records)
    judgement.figures = {
        "records on event topics": len(told),
        "events": len({one.id for one in told}),
        "records beyond one for each event": events.duplicates(told),
        "… of these published again by the campaign": world.duplicated.total(),
        "… or replayed from dead letters, at most": replayed,
        "journal entries": len(entries),
        "tombstones": sum(one.kind == "tombstone" for one in entries),
        "poison records": len(world.poison),
        "ends that were told and left again after a loss of the table": len(judgement.left),
        "sagas whose table and topics were compared": verified["instances"],
        **timers_told.figures(good),
    }
    return judgement


def _without(found: books.Books, parked: set[str]) -> books.Books:
    """The books without orders whose sagas wait for people: those are not at rest."""
    found.orders = {id_: order for id_, order in found.orders.items() if id_ not in parked}
    return found
