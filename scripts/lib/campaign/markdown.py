"""The report of a run for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["as_markdown"]

_TABLES = {
    "Sagas by end": "sagas",
    "Customers": "customers",
    "Operators": "operators",
    "Parked for": "parked_for",
    "Topics and journals": "topics",
    "Losses of the saga table": "rebuilds",
    "Events": "events",
    "Dead letters": "letters",
    "Lines in the workers' logs": "logs",
    "Errors of handlers": "handler_errors",
}
_OF_ONE_MACHINE = re.compile(r"127\.0\.0\.1:\d+|/(?:tmp|work|home|root)/[\w./-]+")
_LEFT = (
    "Known and accepted after a loss of the table in the middle of an emission: observers are told of "
    "the end that holds by a later event of a higher generation."
)


def as_markdown(data: Mapping[str, Any]) -> str:
    """What ``as_data`` has gathered, as Markdown, without the addresses and paths of one machine."""
    return _OF_ONE_MACHINE.sub("…", "\n".join(_lines(data)) + "\n")


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    yield from ("# Campaign", "")
    minutes, findings = data["seconds"] / 60, data["findings"]
    yield (
        f"{minutes:g} minutes, {len(data['faults'])} faults, "
        f"{data['customers'].get('orders accepted', 0)} orders at {data['orders_per_second']:g} a "
        f"second, seed {data['seed']}, commit {data['commit']}; at rest after {data['rest_s']:g} s."
    )
    yield from ("", f"**Findings: {len(findings)}.**" if findings else "**Nothing was found.**", "")
    yield from (f"- {one}" for one in findings)
    yield from ("", "To repeat it:", "", "```sh", data["command"], "```", "")
    yield f"{data['machine']}; {', '.join(f'{k} {v}' for k, v in data['versions'].items())}."
    if data["left"]:
        yield from ("", "## Ends that were told and left again", "", _LEFT, "")
        yield from (f"- {one}" for one in data["left"])
    yield from ("", "## Faults", "", "| Kind | Times |", "|---|---|")
    yield from (f"| {kind} | {times} |" for kind, times in sorted(data["faults_by_kind"].items()))
    yield from ("", "| At | Took | What | |", "|---|---|---|---|")
    for one in data["faults"]:
        yield f"| {one['at_s']} s | {one['took_s']} s | {one['kind']} | {_cell(one['detail'])} |"
    for title, key in _TABLES.items():
        yield from ("", f"## {title}", "", "| | |", "|---|---|")
        yield from (f"| {_cell(name)} | {count} |" for name, count in data[key].items())


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
