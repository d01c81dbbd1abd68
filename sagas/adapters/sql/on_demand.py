"""A transaction that takes its connection from the pool only when a statement needs one.

Many actions use no database at all. What they get is SQLAlchemy's own connection, in a transaction of
SQLAlchemy's, over a pooled connection that is taken at the first statement: nothing is checked out,
begun or ended for those who never issue one. It must never let anybody but its owner commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from sagas.core.errors import ContractViolation

__all__ = ["OnDemand", "on_demand"]

T = TypeVar("T")


class OnDemand:
    """A transaction of one action. ``connection`` is the action's, the rest is the journal's.

    ``foreign`` while code runs in it that is not the journal's own.
    """

    def __init__(self, connection: AsyncConnection, pooled: _Pooled) -> None:
        self.connection = connection
        self._pooled = pooled
        self.foreign = False
        self._root = connection.get_transaction()

    async def run(self, action: Awaitable[T]) -> T:
        """The action's result. Raises what it does, and ContractViolation if it has ended the transaction.

        ``foreign`` says afterwards whether an error is the action's own.
        """
        self.foreign = True
        result = await action
        self.foreign = False
        if self._root is None or not self._root.is_active:
            raise ContractViolation(
                "An action has ended the journal's transaction and went on. Let it raise an error "
                "instead of a rollback, or use a savepoint: `async with connection.begin_nested()`."
            )
        return result

    @property
    def is_begun(self) -> bool:
        """Whether anything has been asked of the database in it."""
        return self._pooled.taken is not None

    @property
    def trouble(self) -> Exception | None:
        """Why no connection could be had when one was needed, whatever the action made of it."""
        return self._pooled.trouble

    @property
    def driver(self) -> Any:
        """The driver's own connection, within the transaction; None if it was lost."""
        return None if self._pooled.taken is None else self._pooled.taken.driver_connection

    async def commit(self) -> None:
        """Make it last. Raises what the driver does; then nobody knows."""
        self._pooled.may_commit = True
        await greenlet_spawn(_commit, self.connection.sync_connection)


@asynccontextmanager
async def on_demand(engine: AsyncEngine) -> AsyncIterator[OnDemand]:
    """A transaction that is rolled back at the end unless its owner has committed it."""
    pooled = _Pooled(engine.sync_engine)
    # Listeners of the user's may issue statements already here, which only works in a greenlet.
    connection = _Connection(engine, await greenlet_spawn(_begin, engine.sync_engine, pooled))
    try:
        yield OnDemand(connection, pooled)
    finally:
        pooled.is_over = True
        if pooled.taken is not None and not connection.closed:
            # A connection that is not given back is lost to the pool, also if we are cancelled.
            await asyncio.shield(asyncio.ensure_future(connection.close()))


def _begin(engine: Engine, pooled: _Pooled) -> Connection:
    connection = Connection(engine, connection=pooled)
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _commit(connection: Connection) -> None:
    connection.commit()
    connection.close()  # in the same greenlet: another one would cost as much as a statement


class _Connection(AsyncConnection):
    """Statements on the driver's connection have to be within the transaction, too."""

    async def get_raw_connection(self) -> PoolProxiedConnection:
        """The pooled connection, its transaction begun: the driver begins none by itself."""
        await self.exec_driver_sql("SELECT 1")
        return await super().get_raw_connection()


class _Pooled(PoolProxiedConnection):
    """Stands for a connection of the pool, and takes one when it is used.

    ``taken`` is that one; the rest of its interface, public or not, is passed on.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.taken: PoolProxiedConnection | None = None
        self.trouble: Exception | None = None
        self.may_commit = False
        self.is_over = False

    def _take(self) -> PoolProxiedConnection:
        if self.taken is None:
            if self.is_over:
                raise ContractViolation(
                    "The journal's transaction is over: its action has returned. Await all that uses "
                    "the connection before."
                )
            try:
                self.taken = self._engine.raw_connection()
            except Exception as error:
                self.trouble = error
                raise
        return self.taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._take(), name)

    def cursor(self, *args: Any, **options: Any) -> Any:
        return self._take().cursor(*args, **options)

    def commit(self) -> None:
        if not self.may_commit:
            # SQLAlchemy takes the transaction for ended now, and would give the connection back.
            self.rollback()
            raise ContractViolation(
                "An action wants to commit the journal's transaction before its outcome is there. An "
                "action must leave commit and rollback to the journal."
            )
        if self.taken is not None:
            self.taken.commit()

    def rollback(self) -> None:
        if self.taken is not None:
            self.taken.rollback()

    @property
    def info(self) -> dict[Any, Any]:
        return self._take().info

    @property
    def record_info(self) -> dict[Any, Any] | None:
        return self._take().record_info

    @property
    def is_valid(self) -> bool:
        return self.taken is None or self.taken.is_valid

    @property
    def is_detached(self) -> bool:
        return self.taken is not None and self.taken.is_detached

    def detach(self) -> None:
        self._take().detach()

    def invalidate(self, e: BaseException | None = None, soft: bool = False) -> None:  # noqa: FBT001, FBT002 - SQLAlchemy's
        if self.taken is not None:
            self.taken.invalidate(e, soft)

    def close(self) -> None:
        if self.taken is not None:
            self.taken.close()

    def _close_special(self, transaction_reset: bool = False) -> None:  # noqa: FBT001, FBT002
        """What SQLAlchemy calls instead of ``close`` after it has ended the transaction itself."""
        if self.taken is not None:
            self.taken._close_special(transaction_reset)  # noqa: SLF001 - it is for SQLAlchemy
