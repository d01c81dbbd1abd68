"""What each service may do on Redis, as commands: one user for each service, and one for operators."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sagas.adapters.redis.access import acl_rules
from sagas.adapters.redis.settings import Durability
from sagas.core.saga import Saga
from sagas.exports.kafka_access import user_of
from sagas.service import Service
from sagas.wire.topics import Topics

__all__ = ["RedisUser", "password_variable", "redis_commands", "users_of"]


@dataclass(frozen=True, slots=True)
class RedisUser:
    """A user and its rules, as ``ACL SETUSER`` takes them."""

    name: str
    rules: tuple[str, ...]


def users_of(
    sagas: Sequence[type[Saga]],
    services: Iterable[Service],
    topics: Topics,
    durability: Durability = "server",
) -> list[RedisUser]:
    """A user for each service that takes part in a saga, and one for operators, who see all sagas."""
    seen = [(user_of(service.name, topics), service.sagas) for service in services if service.sagas]
    seen.append((user_of("operator", topics), tuple(sagas)))
    return [
        RedisUser(
            name,
            tuple(acl_rules(topics.namespace, (saga.definition.saga for saga in of), durability)),
        )
        for name, of in seen
        if of
    ]


def password_variable(user: str) -> str:
    """The environment variable that the script takes the user's password from."""
    return re.sub(r"\W", "_", user, flags=re.ASCII).upper() + "_PASSWORD"


def redis_commands(users: Iterable[RedisUser]) -> str:
    """A shell script of ``ACL SETUSER`` commands; run again it changes nothing.

    Each password is taken from a variable of its own and handed on as its digest, so that it stands in no
    list of processes. ``REDIS_CLI`` is the client with how to reach the server as an administrator.
    """
    lines = [
        "#!/bin/sh",
        "set -eu",
        "digest() { printf %s \"$1\" | sha256sum | cut -d' ' -f1; }",
        "",
    ]
    for user in users:
        variable = password_variable(user.name)
        rules = " ".join(shlex.quote(rule) for rule in user.rules)
        lines += [
            f"${{REDIS_CLI:-redis-cli}} ACL SETUSER {shlex.quote(user.name)} reset on \\",
            f'    "#$(digest "${{{variable}:?the password of {_said(user.name)}}}")" \\',
            f"    {rules}",
        ]
    return "\n".join(lines) + "\n"


def _said(name: str) -> str:
    """A name within a shell's message."""
    return re.sub(r"[^\w.-]", "_", name)
