"""Whether a worker may start: not if it would meet sagas of another definition that it can not finish.

Owns the decision, without any server: what runs is told to it. Cheap, however many sagas run: it looks at
the definitions that are kept, of which there are a few, and at how many sagas have not ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sagas.change.finishing import Place, finishing
from sagas.change.kept import decode_definition
from sagas.core.definition import Definition
from sagas.core.errors import ContractViolation

__all__ = ["Misfit", "admitted", "misfits", "refusal"]

_CHOICES = """\
The choices are:
- keep both: give the new version another name, and both run side by side;
- drain: let the old version run, start no more of them, and start this one once none is left;
- migrate: stop the old version, and `sagas migrate` moves the sagas that can finish and lists the others.
  Of what is recorded and known no more, declare how it is read (`upcasts`, `retired`).
`sagas definitions --count` counts the sagas of each definition, and forgets those that nothing runs under.
Who knows better says `sagas run --accept-definition {fingerprint}`."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A definition whose instances can not all finish under the new one; ``place`` is an example where the
    old one could be read and was looked at in full.
    """

    fingerprint: str
    reason: str
    place: Place | None = None


def misfits(
    definition: Definition, kept: Mapping[str, bytes], *, accepted: Collection[str] = ()
) -> list[Misfit]:
    """Of the definitions that are kept, by fingerprint, those whose instances this one can not finish."""
    return list(_misfits(definition, kept, accepted))


def _misfits(
    definition: Definition, kept: Mapping[str, bytes], accepted: Collection[str]
) -> Iterator[Misfit]:
    for fingerprint, encoded in kept.items():
        if fingerprint == definition.fingerprint or fingerprint in accepted:
            continue
        try:
            old = decode_definition(encoded)
        except ContractViolation as error:
            yield Misfit(fingerprint, str(error))
            continue
        outlook = finishing(old, definition)
        place = next((one for one in outlook.places if one.hindrance), None)
        if place is not None:
            waits = ", ".join(place.waits_for) or "nothing"
            yield Misfit(
                fingerprint,
                f"where a saga is {place.status} and waits for {waits}: {place.reason}",
                place,
            )
        elif not outlook.complete:
            yield Misfit(
                fingerprint, "it has more states than could be looked at, so nothing is proven"
            )


def admitted(found: Collection[Misfit], live: int) -> bool:
    """Whether a worker may start: nothing is in the way, or nothing runs that could be harmed."""
    return not found or live == 0


def refusal(definition: Definition, found: Collection[Misfit], live: int) -> str:
    """Why a worker does not start, and what the choices are."""
    old = "\n".join(f"- {one.fingerprint}: {one.reason}." for one in found)
    first = next(iter(found)).fingerprint
    return (
        f"{definition.saga}: up to {live} sagas run that may be of a definition which this one "
        f"({definition.fingerprint}) can not finish:\n{old}\n{_CHOICES.format(fingerprint=first)}"
    )
