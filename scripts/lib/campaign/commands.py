"""Running a command to its end, within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from campaign.process import ROOT

__all__ = ["CommandFailed", "run"]

_PATIENCE_S = 120


class CommandFailed(Exception):
    """A command has ended otherwise than it should, or not at all; says what it said."""


async def run(*command: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and output. Raises CommandFailed for one that takes too long; it is killed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            said, complaint = await process.communicate()
    except TimeoutError as error:
        raise CommandFailed(f"{' '.join(command)} takes too long") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode() or complaint.decode()
