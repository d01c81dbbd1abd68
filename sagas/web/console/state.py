"""What every page of one console works with. Owns no logic but who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request

from sagas.core.saga import Saga
from sagas.operating.errors import Misasked, nearest
from sagas.operating.explaining import Explanation
from sagas.ports import Stamp
from sagas.service import Service
from sagas.web.console.guard import user_of
from sagas.web.console.journal import Journal
from sagas.web.console.servers import Servers
from sagas.web.console.sessions import Signer
from sagas.web.console.users import Role, User, Users

__all__ = ["Console", "Kept", "console_of", "required"]

Kept = tuple[int, Stamp, Explanation]
"""When an explanation was made, in milliseconds since the epoch, and of which version."""


@dataclass(slots=True, kw_only=True)
class Console:
    """One console. ``closing`` is set when it ends, so that streams do, too."""

    servers: Servers
    sagas: Sequence[type[Saga]]
    services: Sequence[Service]
    signer: Signer
    users: Users | None
    local: User
    origin: str | None = None
    journal: Journal = field(default_factory=Journal)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    counts: tuple[int, str] = (0, "")
    """When the counts of the overview were made, in milliseconds since the epoch, and as what."""
    explanations: dict[tuple[str, str], Kept] = field(default_factory=dict)
    """What was said lately of sagas that people look at, for whoever looks again."""
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    ask_timeout_s: float = 10.0
    """How long the effect of a request is waited for."""

    def saga(self, name: str) -> type[Saga]:
        """The saga of that name. Raises Misasked."""
        for saga in self.sagas:
            if saga.name == name:
                return saga
        hint = nearest(name, [saga.name for saga in self.sagas], "Sagas there")
        raise Misasked(f"There is no saga {name!r}.{hint}")

    def chosen(self, name: str) -> Sequence[type[Saga]]:
        """The saga of that name, or all of them without one. Raises Misasked."""
        return [self.saga(name)] if name else self.sagas

    @property
    def service_names(self) -> Sequence[str]:
        """The project's services, and those of its sagas."""
        return list(
            dict.fromkeys(
                [
                    *(name for saga in self.sagas for name in saga.definition.services),
                    *(service.name for service in self.services),
                ]
            )
        )


def console_of(request: Request) -> Console:
    """The console that a request is for."""
    console: Console = request.app.state.console
    return console


def required(request: Request, role: Role) -> User:
    """Who asks, if they may. Raises HTTPException."""
    user = user_of(request)
    if user is None:
        raise HTTPException(401, "Sign in first.")
    if user.role < role:
        raise HTTPException(
            403, f"{user.name} is {user.role.word}, and only {role.word} may do this."
        )
    return user
