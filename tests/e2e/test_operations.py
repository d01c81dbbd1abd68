"""The runbook's commands run, in order, in the situations that it tells of.

``docs/operations.md`` holds all there is: ``<!-- scene: ... -->`` says what has happened, an ``sh`` block
what is typed then, and a ``text`` block behind it what is to be read in the answers. Times may differ, and
``…`` stands for anything.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from events.orders import OrderLine, OrderPlaced
from tests.e2e.reference_system import PROJECT, ReferenceSystem, reference_system

RUNBOOK = PROJECT / "docs" / "operations.md"
DEADLINE_S = 120
SERVICES = ("orders", "inventory", "payments", "shipping", "notifications")
LOOKING = frozenset({"explain", "list", "top", "workers", "show", "verify"})
"""Commands that may be typed again until they say what is expected."""
_PIECE = re.compile(
    r"<!-- scene: (?P<scene>.*?) -->|^```sh\n(?P<sh>.*?)^```$(?:\n```text\n(?P<text>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_SPAN = r"[\d.]+ (ms|s|min|h|d)( \d+ (min|h))?"
_MOMENT = r"(\d{4}-\d\d-\d\d \d\d:\d\d|\d\d:\d\d:\d\d)"


@dataclass(frozen=True)
class Typed:
    """A block of commands, and what is to be read in their answers."""

    commands: tuple[str, ...]
    said: tuple[str, ...] = ()

    @property
    def only_looks(self) -> bool:
        """Whether it may be typed again and again."""
        return all(shlex.split(one)[1] in LOOKING for one in self.commands)


def pieces(text: str) -> Iterator[str | Typed]:
    """Scenes and blocks in their order."""
    for found in _PIECE.finditer(text):
        if found["scene"]:
            yield found["scene"]
        else:
            said = tuple(filter(None, (found["text"] or "").splitlines()))
            yield Typed(tuple(found["sh"].splitlines()), said)


def pattern_of(line: str) -> re.Pattern[str]:
    """A line of the runbook as it may read at another time."""
    pattern = re.escape(" ".join(line.split()))
    pattern = re.sub(r"\d\d:\d\d:\d\d", lambda _: _MOMENT, pattern)
    pattern = re.sub(r"\d+\\ (ms|s|min|h|d)(?=\W)", lambda _: _SPAN, pattern)
    return re.compile(pattern.replace("…", ".*?"))


class Night:
    """The reference system, and what happens to it in the runbook."""

    def __init__(self, system: ReferenceSystem, elsewhere: Path) -> None:
        self.system = system
        self.scenes: dict[str, Callable[[], Awaitable[None]]] = {
            "payments stops, and order-1042 is placed": self.payments_stops,
            "payments starts": self.payments_starts,
            "inventory gets a bug in its compensation, and payments refuses order-1043 and others": (
                self.inventory_gets_a_bug
            ),
            "inventory is mended and deployed": self.inventory_is_mended,
        }
        self._elsewhere = elsewhere

    async def payments_stops(self) -> None:
        assert self.system.terminate("payments") == 0
        await self.system.place([_order("order-1042")])

    async def payments_starts(self) -> None:
        self.system.start("payments", "-2")

    async def inventory_gets_a_bug(self) -> None:
        for name in ("pyproject.toml", "events"):
            (self._elsewhere / name).symlink_to(PROJECT / name)
        shutil.copytree(PROJECT / "services", self._elsewhere / "services")
        handlers = self._elsewhere / "services" / "inventory" / "handlers.py"
        mended = handlers.read_text()
        broken = mended.replace(
            "    pieces = await store.release(", '    raise KeyError("lot")\n    ('
        )
        assert broken != mended
        handlers.write_text(broken)
        self.system.terminate("inventory")
        self.system.start("inventory", "-broken", project=self._elsewhere)
        names = ("order-1043", "order-1044", "order-1045")
        await self.system.place([_order(name, customer_id="broke") for name in names])

    async def inventory_is_mended(self) -> None:
        self.system.terminate("inventory-broken")
        self.system.start("inventory", "-mended")

    async def type(self, typed: Typed) -> None:
        """Type it and read the answers; what only looks again until it says what is expected."""
        wanted = [pattern_of(line) for line in typed.said]
        async with asyncio.timeout(DEADLINE_S):
            while True:
                answers = [self.system.sagas(*shlex.split(one)[1:]) for one in typed.commands]
                read = " ".join(" ".join(answers).split())
                missing = [one.pattern for one in wanted if not one.search(read)]
                if not missing:
                    return
                assert typed.only_looks, (missing, read)
                await asyncio.sleep(0)


def _order(order_id: str, *, customer_id: str = "ada") -> OrderPlaced:
    lines = (OrderLine(sku="tea", quantity=1, unit_price_cents=250),)
    return OrderPlaced(order_id=order_id, customer_id=customer_id, lines=lines)


@pytest.mark.timeout(900)
async def test_the_runbook_is_followed(
    kafka_servers: str, redis_url: str, postgresql_url: str, tmp_path: Path
) -> None:
    logs, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    logs.mkdir()
    elsewhere.mkdir()
    async with reference_system(kafka_servers, redis_url, postgresql_url, logs) as system:
        for service in SERVICES:
            system.start(service)
        await system.serve([_order("order-1")], timeout_s=DEADLINE_S)  # all are up
        night, played = Night(system, elsewhere), set[str]()
        for piece in pieces(RUNBOOK.read_text()):
            if isinstance(piece, Typed):
                await night.type(piece)
            else:
                await night.scenes[piece]()
                played.add(piece)
        assert played == night.scenes.keys()
        ends = await system.statuses(
            ("order-1043", "order-1044", "order-1045"), timeout_s=DEADLINE_S
        )
        assert set(ends.values()) == {"COMPENSATED"}
        assert (await system.end_of("order-1042", timeout_s=DEADLINE_S)).has_ended


# The reading of the runbook: it must be able to fail.


def test_scenes_and_blocks_are_read_in_order() -> None:
    text = "<!-- scene: it rains -->\n```sh\nsagas list\n```\n```text\none 3 s\n```\n"
    text += "words\n```sh\nsagas top\n```\n"
    assert list(pieces(text)) == [
        "it rains",
        Typed(("sagas list",), ("one 3 s",)),
        Typed(("sagas top",)),
    ]


@pytest.mark.parametrize(
    ("line", "read", "fits"),
    [
        ("since 02:14:09 (3 min): no.", "since 23:59:01 (1.4 s): no.", True),
        ("since 02:14:09 (3 min): no.", "since 2026-01-31 23:59 (2 h 3 min): no.", True),
        ("since 02:14:09 (3 min): no.", "since noon (3 min): no.", False),
        ("o-1 … stuck   (a)", "o-1 RUNNING 3 stuck (a)", True),
        ("None is stuck among …", "1 stuck (1 parked) among 2", False),
    ],
)
def test_times_may_differ_and_words_may_not(line: str, read: str, fits: bool) -> None:
    assert bool(pattern_of(line).search(read)) is fits


def test_only_what_looks_is_typed_again() -> None:
    assert Typed(("sagas explain o-1", "sagas list --stuck")).only_looks
    assert not Typed(("sagas explain o-1", "sagas resume o-1 --why x")).only_looks
