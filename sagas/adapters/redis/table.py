"""The saga table on a Redis server.

Owns the keys below ``{namespace}:{b000}`` to ``{b063}``: per saga instance one hash (``s`` a line with
stamp, status, digest of the start's content and token of the last change, and then the state;
``e:<slot>`` one recorded event; ``n`` the notes as JSON, if there are any), per bucket, saga and status
one sorted set (score: last change), per bucket one sorted set of timers (member: saga, saga id and timer
name, joined by U+001F; score: due), and per bucket and saga the marker that says that nothing is missing.
All keys of one instance share the hash tag of its bucket, so a change with its timers is one Lua call in
one slot. It must never change a row but by compare-and-set or for a rebuilder that holds the marker, nor
trust what it holds to be complete: Kafka is the truth.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoScriptError, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from sagas.adapters.redis.batches import Batches
from sagas.adapters.redis.failures import WRITING, failed, unavailable
from sagas.adapters.redis.identity import on_connect
from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.listing import RedisListing
from sagas.adapters.redis.members import SEPARATOR, earliest, member_of, notes_of, score_of
from sagas.adapters.redis.restoring import RedisRestoring, Restoring, unready
from sagas.adapters.redis.scripts import SCRIPTS, Script, script
from sagas.adapters.redis.server import check_fsync, check_server
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.core.errors import ContractViolation, SettingsError
from sagas.ports import (
    BUCKETS,
    Listed,
    Row,
    RowChange,
    Stamp,
    Timer,
    bucket_of,
)

__all__ = ["RedisSagaTable"]


_EVENT: Final = b"e:"
_LOST: Final = -1
"""What the script says of a bucket without a marker; less means that it is being rebuilt."""
_TIMERS_PAGE: Final = 500
_HEAD: Final = re.compile(rb"([0-9]{1,18}):([0-9]{1,18}) (?:\S+) (\S*) (?:\S+)\n")
"""The line before the state. In fields of their own its four words took 170 bytes more of each row."""
_TIMERS_LOOKED_AT: Final = 5_000


class RedisSagaTable(RedisRestoring):
    """A ``RestorableTable`` on Redis. Calls of one turn of the event loop travel as one pipeline.

    Every command is safe to repeat and is sent again after a connection error; ``store`` recognises
    its own earlier attempt by the token of the row's last change. One object serves one event loop.
    """

    def __init__(self, settings: RedisTableSettings) -> None:
        self._settings = settings
        self._batches: Batches | None = None
        # Lets a command travel. Whoever awaits it says what its error means, by ``failed``: a coroutine for
        # that alone cost 1 us of the 7 of a load.
        self._put: Callable[..., asyncio.Future[Any]] = self._not_running
        self._keys = Keys(settings.namespace)
        self._store, self._postpone = script("store"), script("postpone")
        self._annotate = script("annotate")
        self.listing = RedisListing(self._keys, self._call)
        super().__init__(Restoring(self._keys, self._run, self._call, settings.address))

    async def start(self) -> None:
        """Connect, check the server's settings and teach it the scripts.

        Raises TableUnavailable if it is away, SettingsError if it is not fit to hold the table or
        refuses the credentials.
        """
        batches = Batches(
            self._pool(),
            in_flight_max=self._settings.connections,
            batch_max=self._settings.batch_max,
            timeout_s=self._settings.timeout_ms / 1000,
            attempts=self._settings.attempts,
            fsync=self._settings.durability == "fsync",
        )
        try:
            await check_server(batches, self._settings.address)
            if self._settings.durability == "fsync":
                await check_fsync(batches, self._settings.address)
            for name in SCRIPTS:
                await batches.call("SCRIPT", "LOAD", script(name).text)
        except AuthenticationError as error:
            await batches.stop()
            raise SettingsError(
                f"Redis at {self._settings.address} refuses the credentials ({error}). Give a user "
                "and a password that may read and write there."
            ) from error
        except (RedisError, OSError) as error:
            await batches.stop()
            unavailable(error, self._settings.address, writing=False)
        except BaseException:
            await batches.stop()
            raise
        self._batches, self._put = batches, batches.put

    async def stop(self) -> None:
        """Wait for the calls under way, then close the connections. Safe to repeat."""
        batches, self._batches = self._batches, None
        self._put = self._not_running
        if batches is not None:
            with suppress(RedisError, OSError):
                await batches.stop()

    async def load(self, saga: str, saga_id: str, *, events: bool = False) -> Row | None:
        """The row, or None; without events in one HMGET of two fields.

        Raises TableUnavailable, and ContractViolation for a row that nobody of ours has written.
        Only where there is no row the bucket's marker is looked at: a stale row is what a slow worker
        has, and the compare-and-set finds out.
        """
        row, _ = self._keys.instance(saga, saga_id)
        command = ("HGETALL", row) if events else ("HMGET", row, "s", "n")
        try:
            found = await self._put(command)
        except (RedisError, OSError) as error:
            failed(error, command, self._settings.address)
        recorded: Mapping[str, bytes] = {}
        if events:
            fields: dict[bytes, bytes] = found
            stored, notes = fields.get(b"s"), fields.get(b"n")
            recorded = {
                name[2:].decode(errors="replace"): event
                for name, event in fields.items()
                if name.startswith(_EVENT)
            }
        else:
            stored, notes = found
        if stored is None:
            await self._look(saga, saga_id)
            return None
        head = _HEAD.match(stored)
        if head is None:
            raise ContractViolation(
                f"The row of {saga} {saga_id!r} in Redis is damaged: it begins with {stored[:40]!r}, "
                "expected generation and version, such as 1:7, then status, digest and token. Delete "
                f"its key {row}, and `sagas rebuild --saga-id {saga_id}` puts it back from Kafka."
            )
        generation, version, content = head.groups()
        return Row(
            Stamp(int(generation), int(version)),
            stored[head.end() :],
            recorded,
            {} if notes is None else notes_of(notes),
            content.decode(errors="replace"),
        )

    async def store(self, change: RowChange) -> bool:
        """Compare and set, timers included, in one Lua call.

        Raises TableUnavailable: send the same change again.
        """
        row, index = self._keys.instance(change.saga, change.saga_id)
        expected, bucket = change.expected, bucket_of(change.saga_id)
        command: list[bytes | str | int] = [
            "EVALSHA",
            self._store.digest,
            3,
            row,
            index + change.status,
            self._keys.markers[bucket],
            b"" if expected is None else f"{expected[0]}:{expected[1]}",
            f"{change.stamp[0]}:{change.stamp[1]}",
            change.token,
            change.status,
            change.state,
            change.at_ms,
            change.saga_id,
            index,
            change.saga,
            change.content,
        ]
        for slot, event in change.events.items():
            command.append(f"e:{slot}")
            command.append(event)
        if change.timers_set or change.timers_cleared:
            self._add_timers(command, change, bucket)
        sent = tuple(command)
        try:
            stored: int = await self._put(sent, durable=True)
        except (RedisError, OSError) as error:
            stored = await self._taught(self._store, sent, error)
        if stored < 0:
            unready(
                change.saga, lost=stored == _LOST, bucket=bucket, address=self._settings.address
            )
        return bool(stored)

    def _add_timers(self, command: list[bytes | str | int], change: RowChange, bucket: int) -> None:
        """The bucket's timers as a fourth key, and what is to happen to them at the end."""
        command[2] = 4
        command.insert(6, self._keys.timers[bucket])
        command += [member_of(change.saga, change.saga_id, name) for name in change.timers_cleared]
        for name, due_ms in change.timers_set.items():
            command.append(due_ms)
            command.append(member_of(change.saga, change.saga_id, name))
        command.append(len(change.timers_cleared))
        command.append(len(change.timers_set))

    async def forget_events(self, saga: str, saga_id: str, slots: Collection[str]) -> None:
        """Drop the bytes of recorded events: one HDEL. Raises TableUnavailable."""
        if slots:
            row, _ = self._keys.instance(saga, saga_id)
            await self._call("HDEL", row, *(f"e:{slot}" for slot in slots))

    async def list_sagas(
        self, saga: str, *, statuses: Sequence[str], limit: int
    ) -> Sequence[Listed]:
        """Instances in any of the statuses, last changed first, equal times by descending id.

        Not one snapshot: an instance that changes its status meanwhile may be missing, never twice.
        """
        if limit < 1:
            return []
        indexes = [
            (status, index) for status in statuses for index in self._keys.indexes(saga, status)
        ]
        replies = await asyncio.gather(
            *(
                self._call("ZRANGE", index, 0, limit - 1, "REV", "WITHSCORES")
                for _, index in indexes
            )
        )
        found: dict[bytes, tuple[int, str]] = {}
        for (status, _), reply in zip(indexes, replies, strict=True):
            for member, score in reply:
                if member not in found or found[member][0] <= score:
                    found[member] = (score_of(score), status)
        newest = sorted(found.items(), key=lambda item: (item[1][0], item[0]), reverse=True)
        return [
            Listed(
                saga=saga,
                saga_id=member.decode(errors="replace"),
                status=status,
                changed_at_ms=at_ms,
            )
            for member, (at_ms, status) in newest[:limit]
        ]

    async def count_sagas(self, saga: str, *, statuses: Sequence[str]) -> Mapping[str, int]:
        """How many instances stand in each of the statuses, zeros included; not one snapshot."""
        indexes = [
            (status, index) for status in statuses for index in self._keys.indexes(saga, status)
        ]
        replies = await asyncio.gather(*(self._call("ZCARD", index) for _, index in indexes))
        counts = dict.fromkeys(statuses, 0)
        for (status, _), reply in zip(indexes, replies, strict=True):
            counts[status] += reply
        return counts

    async def due_timers(
        self, *, buckets: Collection[int], now_ms: int, limit: int
    ) -> Sequence[Timer]:
        """Timers due by now in these buckets, earliest first, at most ``limit`` in all.

        Each bucket is asked for as many, for the earliest may all be in one. Not one snapshot.
        """
        if limit < 1:
            return []
        replies = await asyncio.gather(
            *(
                self._call(
                    "ZRANGE",
                    self._keys.timers[bucket],
                    "-inf",
                    now_ms,
                    "BYSCORE",
                    "LIMIT",
                    0,
                    limit,
                    "WITHSCORES",
                )
                for bucket in frozenset(buckets)
            )
        )
        found = [(score_of(due_ms), member) for reply in replies for member, due_ms in reply]
        return earliest(found, limit)

    async def postpone_timer(self, timer: Timer, due_ms: int) -> bool:
        """Move a timer that is still set, whenever it is due by now: look and move in one Lua call."""
        key = self._keys.timers[bucket_of(timer.saga_id)]
        member = member_of(timer.saga, timer.saga_id, timer.name)
        return bool(await self._run(self._postpone, [1, key, due_ms, member]))

    async def annotate(
        self, saga: str, saga_id: str, name: str, note: str | None, *, due_ms: int | None = None
    ) -> bool:
        """Keep or remove a note and its timer in one Lua call. Raises TableUnavailable: send it again."""
        row, _ = self._keys.instance(saga, saga_id)
        arguments: list[bytes | str | int] = [
            2,
            row,
            self._keys.timers[bucket_of(saga_id)],
            name,
            member_of(saga, saga_id, name),
        ]
        if note is not None:
            arguments += [note, "" if due_ms is None else due_ms]
        return bool(await self._run(self._annotate, arguments))

    async def list_timers(self, saga: str, *, limit: int) -> Sequence[Timer]:
        """The timers of one saga's instances, earliest first.

        Looks at the 5,000 earliest timers of each bucket, of all sagas, and no further: of a saga whose
        timers are all due after so many others it shows none. Not one snapshot.
        """
        if limit < 1:
            return []
        prefix = f"{saga}{SEPARATOR}".encode()
        replies = await asyncio.gather(
            *(self._timers_with(prefix, bucket, limit) for bucket in range(BUCKETS))
        )
        return earliest([found for reply in replies for found in reply], limit)

    async def _timers_with(
        self, prefix: bytes, bucket: int, limit: int
    ) -> Sequence[tuple[int, bytes]]:
        """A bucket's earliest timers with the prefix. One that is moved meanwhile is found once."""
        found: dict[bytes, int] = {}
        for first in range(0, _TIMERS_LOOKED_AT, _TIMERS_PAGE):
            page = await self._call(
                "ZRANGE", self._keys.timers[bucket], first, first + _TIMERS_PAGE - 1, "WITHSCORES"
            )
            found.update(
                (member, score_of(due)) for member, due in page if member.startswith(prefix)
            )
            if len(found) >= limit or len(page) < _TIMERS_PAGE:
                break
        return [(due_ms, member) for member, due_ms in found.items()]

    # --- the way to the server ---------------------------------------------------------------------

    async def _run(self, taught: Script, arguments: Sequence[bytes | str | int]) -> Any:
        command = ("EVALSHA", taught.digest, *arguments)
        try:
            return await self._put(command, durable=True)
        except (RedisError, OSError) as error:
            return await self._taught(taught, command, error)

    async def _taught(
        self, taught: Script, command: tuple[bytes | str | int, ...], error: Exception
    ) -> Any:
        """What a script gives that the server may not have known; any other error is said."""
        if not isinstance(error, NoScriptError):
            failed(error, command, self._settings.address)
        # The server was restarted or its scripts were flushed: EVAL teaches it again.
        return await self._call("EVAL", taught.text, *command[2:])

    async def _call(self, *command: bytes | str | int) -> Any:
        try:
            return await self._put(command, durable=command[0] in WRITING)
        except (RedisError, OSError) as error:
            failed(error, command, self._settings.address)

    def _not_running(self, *_: object, **__: object) -> NoReturn:
        """In the place of the batches, while there are none."""
        raise ContractViolation(
            f"The saga table on Redis at {self._settings.address} is stopped or was never started: "
            "the platform of this client is closed; use it inside 'async with real_platform(…)'."
        )

    def _pool(self) -> BlockingConnectionPool:
        timeout_s = self._settings.timeout_ms / 1000
        return BlockingConnectionPool.from_url(
            self._settings.url.get_secret_value(),
            max_connections=self._settings.connections,
            timeout=timeout_s,
            # A pipeline has one timer of its own; a timer per write and per reply costs too much.
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
            # What is sent again, and how often, is decided in one place: the batches.
            retry=Retry(NoBackoff(), 0),
            protocol=3,
            decode_responses=False,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            redis_connect_func=on_connect(self._keys, self._connected),
        )
