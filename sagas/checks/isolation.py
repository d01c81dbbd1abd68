"""S13: what other sagas may do to data between two steps, and has no named countermeasure.

The anomalies are those of Garcia-Molina and of Frank and Zahle: lost updates, dirty reads, fuzzy reads. An
access is safe if it names a guard, or if a semantic lock is held by both sides all the while.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagas.checks.finding import Finding, Severity
from sagas.checks.locksets import Access, accesses
from sagas.checks.subject import Subject

__all__ = ["anomalies"]


def anomalies(subject: Subject) -> Iterator[Finding]:
    """S13, over all sagas together; nothing where nothing is said about data."""
    everything = [access for saga in subject.sagas for access in accesses(saga)]
    writes = [access for access in everything if access.writes]
    for access in everything:
        if access.guard is not None:
            continue
        before = [one for one in everything if one.item == access.item and one.precedes(access)]
        if access.writes:
            yield from _lost_update(access, before, writes)
        else:
            yield from _fuzzy_read(access, before, writes)
            yield from _dirty_read(access, writes)


def _lost_update(
    write: Access, before: Iterable[Access], writes: Iterable[Access]
) -> Iterator[Finding]:
    """It overwrites what it has seen, or undoes what it has written, after somebody else came between."""
    windows = [(f"since {one.step.name}", one.held & write.held) for one in before]
    if write.held_undoing is not None:
        windows.append(("until it is undone", write.held_undoing))
    for when, held in windows:
        others = _between(write, held, writes)
        if others:
            yield _finding(
                write,
                f"what {_listed(write, others)} {_verb(others, 'writes')} {when} is lost: it is overwritten",
                "Guard.COMMUTATIVE if it only adds and subtracts, Guard.REREAD if it looks again first",
            )
            return


def _fuzzy_read(
    read: Access, before: Iterable[Access], writes: Iterable[Access]
) -> Iterator[Finding]:
    """It looks twice, and does not see the same."""
    for one in before:
        others = [] if one.writes else _between(read, one.held & read.held, writes)
        if others:
            yield _finding(
                read,
                f"it may see other values than {one.step.name} did, because {_listed(read, others)} "
                f"{_verb(others, 'writes')} in between",
                "Guard.REREAD if it decides anew, Guard.BY_VALUE if that is accepted; or hand the value over "
                "in the event",
            )
            return


def _dirty_read(read: Access, writes: Iterable[Access]) -> Iterator[Finding]:
    """It sees what may be undone."""
    others = [
        one
        for one in writes
        if one.held_undoing is not None and read.meets(one) and not one.held_undoing & read.held
    ]
    if others:
        yield _finding(
            read,
            f"it sees what {_listed(read, others)} {_verb(others, 'has')} written, which may still be undone",
            "Guard.REREAD if it looks again before it counts, Guard.BY_VALUE if that is accepted",
        )


def _between(access: Access, held: frozenset[str], writes: Iterable[Access]) -> list[Access]:
    """Who may write the same row meanwhile, although these locks are held."""
    return [one for one in writes if access.meets(one) and not held & one.held]


def _finding(access: Access, what: str, guards: str) -> Finding:
    item = ".".join(access.item)
    return access.saga.finding(
        "S13",
        Severity.WARNING,
        access.step.name,
        f"{item}: {what}.",
        f"Name what keeps it right, guard= {guards}; or have both sagas take a lock: data=Locks(...).",
    )


def _listed(access: Access, others: Iterable[Access]) -> str:
    names = {one.where: "another " if one.saga is access.saga else "" for one in others}
    return " and ".join(f"{names[name]}{name}" for name in sorted(names))


def _verb(others: Iterable[Access], one: str) -> str:
    several = len({other.where for other in others}) > 1
    return {"writes": "write", "has": "have"}[one] if several else one
