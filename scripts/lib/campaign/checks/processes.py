"""The workers: nobody dies by himself, SIGTERM ends with 0, and the logs say nothing of defects."""

from __future__ import annotations

from collections.abc import Iterator

from campaign.world import World

__all__ = ["findings"]


def findings(world: World) -> Iterator[str]:
    """What is wrong with the processes and what they have said."""
    for worker in world.workers.values():
        yield from worker.died
        for code in worker.exits:
            if code:
                yield f"{worker.name} ended with exit code {code} after SIGTERM."
    for line in world.logs.suspicious:
        yield f"This should never be logged: {line}"
    for line in world.logs.unstructured:
        yield f"This is no line of the log: {line}"
