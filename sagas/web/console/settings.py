"""What the console is told: who may use it, and under which address people see it."""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sagas.core.errors import SettingsError
from sagas.web.console.users import Users, users_of

__all__ = ["ConsoleSettings", "check_host", "is_loopback"]

_SECRET_MIN = 16


class ConsoleSettings(BaseSettings):
    """Read from the environment: ``SAGAS_WEB_USERS_FILE`` and so on. A value has a file as its other form.

    Raises pydantic's ValidationError for what can not work.
    """

    model_config = SettingsConfigDict(env_prefix="SAGAS_WEB_", extra="ignore")

    users: SecretStr | None = None
    users_file: Path | None = None
    secret: SecretStr | None = None
    secret_file: Path | None = None
    origin: str | None = None

    @field_validator("origin")
    @classmethod
    def _is_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        said = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in {"http", "https"} or not parts.hostname or value.rstrip("/") != said:
            raise ValueError("expected an origin such as https://sagas.example.com")
        return said.lower()

    def known_users(self) -> Users | None:
        """Who may sign in; None where nobody has to. Raises SettingsError."""
        text = _one_of("SAGAS_WEB_USERS", self.users, self.users_file)
        where = "SAGAS_WEB_USERS" if self.users_file is None else str(self.users_file)
        return None if text is None else users_of(text, where)

    def signing_secret(self) -> bytes:
        """What sessions are signed with: as told, or else made for this process. Raises SettingsError."""
        text = _one_of("SAGAS_WEB_SECRET", self.secret, self.secret_file)
        if text is None:
            return secrets.token_bytes(32)
        if len(text.strip()) < _SECRET_MIN:
            raise SettingsError(
                f"SAGAS_WEB_SECRET has less than {_SECRET_MIN} characters; `openssl rand -hex 32` makes one."
            )
        return text.strip().encode()


def _one_of(name: str, given: SecretStr | None, file: Path | None) -> str | None:
    if given is not None and file is not None:
        raise SettingsError(f"{name} and {name}_FILE are both set: leave one of them out.")
    if file is None:
        return None if given is None else given.get_secret_value()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE {file} can not be read: {error}.") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_host(host: str, users: Users | None) -> None:
    """Without users, whoever reaches the console may do everything. Raises SettingsError."""
    if users is None and not is_loopback(host):
        raise SettingsError(
            f"The console does not listen on {host} while anybody who reaches it may operate sagas. Say who "
            "may, in SAGAS_WEB_USERS_FILE (`sagas web --new-user NAME:ROLE` makes a line), or listen on "
            "127.0.0.1 and reach it through a tunnel."
        )
