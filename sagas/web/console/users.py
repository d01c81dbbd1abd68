"""Who may use the console, and how they prove who they are.

Owns the roles, the form of a line in the users' file, and how passwords are hashed: scrypt, with a salt for
each. Never holds a password longer than it takes to hash it.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import scrypt
from hmac import compare_digest

from sagas.core.errors import SettingsError

__all__ = ["Role", "User", "Users", "line_of", "users_of"]

_N, _R, _P, _SIZE = 2**15, 8, 1, 32
_MEMORY_MAX = 256 * 1024 * 1024
_LINE = re.compile(
    r"(?P<name>[^\s:]{1,64}):(?P<role>reader|operator|admin):scrypt\$(?P<n>\d{1,8})\$(?P<r>\d{1,3})"
    r"\$(?P<p>\d{1,3})\$(?P<salt>[A-Za-z0-9+/=]{1,200})\$(?P<digest>[A-Za-z0-9+/=]{1,200})"
)


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    READER = 1
    """Look at everything but records that nobody can tell the personal part of."""
    OPERATOR = 2
    """Ask something of one saga, and replay or discard one dead letter."""
    ADMIN = 3
    """Do so with many dead letters at once, and see records as they are."""

    @property
    def word(self) -> str:
        """As it is written."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class _Hashed:
    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def fits(self, password: str) -> bool:
        made = scrypt(
            password.encode(errors="surrogateescape"),
            salt=self.salt,
            n=self.n,
            r=self.r,
            p=self.p,
            dklen=len(self.digest),
            maxmem=_MEMORY_MAX,
        )
        return compare_digest(made, self.digest)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is known."""

    name: str
    role: Role


class Users:
    """Everybody who may sign in."""

    def __init__(self, known: Mapping[str, tuple[Role, _Hashed]]) -> None:
        self._known = known
        self._nobody = _hashed(secrets.token_urlsafe())

    def named(self, name: str) -> User | None:
        """The user of that name."""
        found = self._known.get(name)
        return None if found is None else User(name, found[0])

    def proven(self, name: str, password: str) -> User | None:
        """The user, if it is their password. Takes as long for a name that nobody has: some 100 ms."""
        found = self._known.get(name)
        fits = (self._nobody if found is None else found[1]).fits(password)
        return self.named(name) if fits else None


def users_of(text: str, where: str) -> Users:
    """The users that lines such as ``ann:operator:scrypt$…`` name; ``#`` begins a comment.

    Raises SettingsError, which shows no hash.
    """
    known: dict[str, tuple[Role, _Hashed]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        found = _LINE.fullmatch(said)
        hashed = None if found is None else _read(found)
        if found is None or hashed is None:
            raise SettingsError(
                f"{where}, line {number}: expected NAME:reader|operator|admin:scrypt$…, as "
                "`sagas web --new-user NAME:ROLE` prints it."
            )
        if found["name"] in known:
            raise SettingsError(f"{where}, line {number}: {found['name']!r} is there twice.")
        known[found["name"]] = (Role[found["role"].upper()], hashed)
    if not known:
        raise SettingsError(f"{where} names nobody; `sagas web --new-user NAME:ROLE` makes a line.")
    return Users(known)


def _read(found: re.Match[str]) -> _Hashed | None:
    n, r, p = int(found["n"]), int(found["r"]), int(found["p"])
    if n < _N or n & (n - 1) or not r or not p or 128 * n * r * p > _MEMORY_MAX // 2:
        return None
    try:
        return _Hashed(
            n,
            r,
            p,
            b64decode(found["salt"], validate=True),
            b64decode(found["digest"], validate=True),
        )
    except ValueError:
        return None


def _hashed(password: str) -> _Hashed:
    salt = secrets.token_bytes(16)
    digest = scrypt(
        password.encode(errors="surrogateescape"),
        salt=salt,
        n=_N,
        r=_R,
        p=_P,
        dklen=_SIZE,
        maxmem=_MEMORY_MAX,
    )
    return _Hashed(_N, _R, _P, salt, digest)


def line_of(name: str, role: Role, password: str) -> str:
    """The line of the users' file for somebody with that password. Raises SettingsError for a bad name."""
    made = _hashed(password)
    salt, digest = b64encode(made.salt).decode(), b64encode(made.digest).decode()
    line = f"{name}:{role.word}:scrypt${made.n}${made.r}${made.p}${salt}${digest}"
    if not _LINE.fullmatch(line):
        raise SettingsError(f"{name!r} is no name: up to 64 characters without blanks and colons.")
    return line
