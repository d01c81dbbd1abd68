"""Where the servers are, and what is said about them: read from the environment, once, in ``main``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sagas.adapters.kafka.settings import KafkaSecurity, Mechanism, Protocol
from sagas.adapters.redis.settings import Durability
from sagas.core.concurrency import Adaptive, Concurrency
from sagas.core.durations import span_ms
from sagas.core.errors import SettingsError
from sagas.observability.logs import FORMATS, LEVELS
from sagas.wire.topics import Topics

__all__ = ["SagaSettings"]

_REDIS_SCHEMES = {"redis", "rediss", "unix"}
_TAGS_MAX, _TAG_MAX = 20, 100
_KNOWN = {"log_level": LEVELS, "log_format": FORMATS}


class SagaSettings(BaseSettings):
    """Where the servers are. Read from the environment: ``SAGAS_KAFKA``, ``SAGAS_REDIS`` and so on.

    Raises pydantic's ValidationError for a value that can not work, before anything is connected.
    """

    model_config = SettingsConfigDict(env_prefix="SAGAS_", extra="ignore")

    namespace: str = "sagas"
    kafka: str = Field(default="127.0.0.1:9092", min_length=1)
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_ca_file: Path | None = None
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_protocol: Protocol = "PLAINTEXT"
    redis: str = "redis://127.0.0.1:6379/0"
    partitions: int = Field(default=4, ge=1)
    replication_factor: int = Field(default=1, ge=1)
    durability: Durability = "server"
    keep_ended: str = "8d"
    backlog_max: int = Field(default=5_000, ge=2)
    step_concurrency: str = ""
    tenant_concurrency: int | None = Field(default=None, ge=1)
    memory_limit: str = "auto"
    memory_leave_at: float = Field(default=0.9, gt=0, le=1)
    service_version: str = ""
    tags: Annotated[tuple[str, ...], NoDecode] = ()
    stuck_factor: float = Field(default=10.0, ge=1)
    log_level: str = "INFO"
    log_format: str = "console"

    @property
    def keep_ended_ms(self) -> int | None:
        """For how long instances that have ended are kept; None for ever."""
        return span_ms(self.keep_ended)

    @property
    def step_bound(self) -> Concurrency | None:
        """How many calls of one handler run at once where it does not say; None for no bound."""
        return _concurrency(self.step_concurrency)

    @property
    def memory_limit_bytes(self) -> int | None:
        """What this process may hold in memory where it is said here; None for ``auto`` and ``none``."""
        return None if self.memory_limit in {"auto", "none"} else _size_bytes(self.memory_limit)

    @property
    def kafka_security(self) -> KafkaSecurity:
        """How to prove to Kafka who we are, and whom we talk to."""
        return KafkaSecurity(
            protocol=self.kafka_protocol,
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
            key_file=self.kafka_key_file,
            sasl_mechanism=self.kafka_mechanism,
            username=self.kafka_username,
            password=self.kafka_password,
        )

    @field_validator("tags", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        """As a variable holds them: ``blue, zone=a``."""
        if not isinstance(value, str):
            return value
        return tuple(one.strip() for one in value.split(",") if one.strip())

    @field_validator("tags", "service_version")
    @classmethod
    def _is_short(cls, value: tuple[str, ...] | str) -> tuple[str, ...] | str:
        words = (value,) if isinstance(value, str) else value
        if len(words) > _TAGS_MAX or any(len(one) > _TAG_MAX for one in words):
            raise ValueError(f"expected at most {_TAGS_MAX} words of {_TAG_MAX} characters")
        return value

    @field_validator("kafka_protocol")
    @classmethod
    def _names_a_user(cls, value: Protocol, info: ValidationInfo) -> Protocol:
        known = info.data.get("kafka_username"), info.data.get("kafka_password")
        if value.startswith("SASL") and None in known:
            raise ValueError("it needs SAGAS_KAFKA_USERNAME and SAGAS_KAFKA_PASSWORD")
        return value

    @field_validator("kafka_key_file")
    @classmethod
    def _has_its_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("kafka_certificate_file") is None:
            raise ValueError("it needs SAGAS_KAFKA_CERTIFICATE_FILE")
        return value

    @field_validator("keep_ended")
    @classmethod
    def _is_span(cls, value: str) -> str:
        span_ms(value)
        return value

    @field_validator("step_concurrency")
    @classmethod
    def _is_concurrency(cls, value: str) -> str:
        _concurrency(value)
        return value

    @field_validator("memory_limit")
    @classmethod
    def _is_size(cls, value: str) -> str:
        if value not in {"auto", "none"}:
            _size_bytes(value)
        return value

    @field_validator("namespace")
    @classmethod
    def _fits_topics(cls, value: str) -> str:
        try:
            return Topics(value).namespace
        except SettingsError as error:
            raise ValueError(str(error)) from error

    @field_validator("redis")
    @classmethod
    def _is_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in _REDIS_SCHEMES or not (parts.netloc or parts.path):
            raise ValueError("expected a URL such as redis://127.0.0.1:6379/0")
        _ = parts.port  # raises ValueError for one that is no number
        return value

    @field_validator("log_level", "log_format")
    @classmethod
    def _is_known(cls, value: str, info: ValidationInfo) -> str:
        known = _KNOWN[str(info.field_name)]
        for one in known:
            if value.lower() == one.lower():
                return one
        raise ValueError(f"expected one of {', '.join(known)}")


def _concurrency(text: str) -> Concurrency | None:
    """A number, or two. Raises ValueError."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,6})(?:\.\.(\d{1,6}))?", text)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most:
        raise ValueError("expected a number from 1 on, or two, such as 4..64")
    return least if least == most else Adaptive(least, most)


def _size_bytes(text: str) -> int:
    """A size as people write it. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,12}) ?(B|KiB|MiB|GiB)", text)
    if found is None or int(found[1]) == 0:
        raise ValueError("expected a size such as 512MiB or 2GiB, or auto, or none")
    return int(found[1]) * _SIZES[found[2]]


_SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
