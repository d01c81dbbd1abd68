"""The people on call, who know the command line only: they resume, replay, discard and cancel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from campaign.commands import CommandFailed, run
from campaign.process import SAGAS
from campaign.records import Place

__all__ = ["Operators"]

_AT_ONCE = 2
_RESUMED_MAX = 40
"""At a time; whatever is still parked is resumed in the next round."""
_MANY = "1000000"
_DIFFERENCES = 1
"""``sagas verify`` ends with it if there are any."""


class Operators:
    """Their commands, and what came of them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, "SAGAS_LOG_LEVEL": "CRITICAL"}
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self.resumed: dict[str, str] = {}
        """Sagas that were parked, with the reason."""
        self.cancelled = 0
        self.replayed = 0
        self.discarded = 0

    async def sagas(self, *words: str) -> tuple[int, str]:
        """Run the command line; exit code and output."""
        return await self._run(str(SAGAS), *words)

    async def _run(self, *command: str) -> tuple[int, str]:
        async with self._gate:
            return await run(*command, environment=self._environment)

    async def _json(self, *words: str, ends: Collection[int] = (0,)) -> Any:
        code, said = await self.sagas(*words, "--output", "json", "--timeout", "30")
        if code not in ends:
            raise CommandFailed(f"sagas {' '.join(words)}: exit code {code}: {said[-2000:]}")
        return json.loads(said)

    async def listed(self, *statuses: str) -> list[dict[str, Any]]:
        """The sagas as the table has them, all or those of the statuses."""
        wanted = [word for status in statuses for word in ("--status", status)]
        found: list[dict[str, Any]] = (await self._json("list", *wanted, "--limit", _MANY))["sagas"]
        return found

    async def timers(self) -> list[dict[str, Any]]:
        """The timers that are set."""
        found: list[dict[str, Any]] = (await self._json("timers", "--limit", _MANY))["timers"]
        return found

    async def verified(self) -> dict[str, Any]:
        """What the table and the topics say of each saga, compared by the command line."""
        found: dict[str, Any] = await self._json("verify", ends=(0, _DIFFERENCES))
        return found

    async def resume(self) -> int:
        """Resume whatever is parked; how many that were."""
        parked = await self.listed("parked")
        for saga in parked:
            self.resumed[saga["id"]] = str((saga["reason"] or {}).get("text", saga["reason"]))
        if ids := [saga["id"] for saga in parked[:_RESUMED_MAX]]:
            words = ("resume", *ids, "--", "--why", "the faults are over")
            await self._run(sys.executable, "-m", "campaign.many", *words)
        return len(parked)

    async def cancel(self, saga_ids: Iterable[str]) -> None:
        """Cancel these sagas; for some it is too late."""
        for saga_id in saga_ids:
            with contextlib.suppress(CommandFailed):
                code, _ = await self.sagas("cancel", saga_id, "--why", "the customer called")
                self.cancelled += code == 0

    async def resolve(self, poison: Collection[Place], poison_key: str) -> int:
        """Discard the letters of poison, replay the others; how many those were."""
        open_ = (await self._json("dead-letters", "list", "--limit", _MANY))["letters"]
        ids = {f"{place.topic}/{place.partition}/{place.offset}" for place in poison}
        bad = [letter for letter in open_ if letter["id"] in ids]
        if any(letter["saga_id"] == poison_key for letter in bad):
            words = ("discard", "--all", "--saga-id", poison_key, "--why", "poison")
            await self._json("dead-letters", *words)
        for id_ in {letter["id"] for letter in bad if letter["saga_id"] != poison_key}:
            await self._json("dead-letters", "discard", id_, "--why", "poison")
        self.discarded += len(bad)
        if real := len(open_) - len(bad):
            await self._json("dead-letters", "replay", "--all", "--why", "the faults are over")
        self.replayed += real
        return real
