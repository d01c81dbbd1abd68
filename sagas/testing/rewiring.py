"""A copy of a service with other handlers in the place of its own.

Owns the copying: the user's own service, often a module's global, is never changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

from sagas.core.definition import Direction
from sagas.service import Handler, Service

__all__ = ["Place", "rewired"]

Place = tuple[str, str, Direction]
"""A saga's name, a step's name, and whether it is performed or undone."""


def rewired(service: Service, handler_for: Callable[[Handler, Place | None], Handler]) -> Service:
    """The service with each handler replaced; an observer's place is None."""
    changed = copy.copy(service)
    changed.performers = {
        key: handler_for(handler, (*key, Direction.FORWARD))
        for key, handler in service.performers.items()
    }
    changed.undoers = {
        key: handler_for(handler, (*key, Direction.UNDO))
        for key, handler in service.undoers.items()
    }
    changed.observers = [
        replace(observer, handler=handler_for(observer.handler, None))
        for observer in service.observers
    ]
    return changed
