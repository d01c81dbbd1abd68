"""What can be set about Kafka, typed, and how it is handed to aiokafka.

Owns defaults and their reasons; reads no environment and connects to nothing.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal, Self, TypedDict

from aiokafka.helpers import create_ssl_context
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SecretStr, model_validator

__all__ = [
    "Connection",
    "KafkaSecurity",
    "KafkaSettings",
    "Mechanism",
    "Protocol",
    "connection",
]

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSecurity(BaseModel):
    """How to prove who we are, and whom we talk to. Passwords never appear in a repr or a log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol = "PLAINTEXT"
    ca_file: Path | None = None
    """Without it, the machine's own authorities are trusted."""
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: SecretStr | None = None
    sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol.startswith("SASL") and (self.username is None or self.password is None):
            raise ValueError(f"security protocol {self.protocol} needs username and password")
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("a key_file needs its certificate_file")
        return self

    def ssl_context(self) -> ssl.SSLContext | None:
        """The context for SSL and SASL_SSL; reads the files, and always checks the host name."""
        if not self.protocol.endswith("SSL"):
            return None
        context: ssl.SSLContext = create_ssl_context(
            cafile=self.ca_file,
            certfile=self.certificate_file,
            keyfile=self.key_file,
            password=None if self.key_password is None else self.key_password.get_secret_value(),
        )
        return context


class KafkaSettings(BaseModel):
    """Sizes and times; the defaults fit one region and records of some kilobytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    security: KafkaSecurity = KafkaSecurity()

    linger_ms: int = Field(default=0, ge=0, le=1_000)
    """How long a batch waits for company; up to 5 trades latency for larger batches."""
    max_batch_size_bytes: PositiveInt = 256 * 1024
    """There is one open batch per partition, so this bounds what travels per round trip."""
    record_max_bytes: PositiveInt = 1024 * 1024
    """Larger records are refused before they are sent; a topic may set a lower limit."""

    connect_timeout_ms: PositiveInt = 10_000
    request_timeout_ms: PositiveInt = 10_000
    publish_timeout_ms: PositiveInt = 30_000
    """After this time without acknowledgement the producer is given up and built anew."""
    metadata_timeout_ms: PositiveInt = 5_000
    """How long a topic may be unknown before it counts as missing."""
    commit_timeout_ms: PositiveInt = 10_000
    stop_timeout_ms: PositiveInt = 10_000

    session_timeout_ms: PositiveInt = 10_000
    heartbeat_interval_ms: PositiveInt = 3_000
    rebalance_timeout_ms: PositiveInt = 60_000
    """How long the group waits for a member that is draining; see ``drain_timeout_ms``."""
    fetch_wait_ms: PositiveInt = 500
    fetch_max_bytes: PositiveInt = 16 * 1024 * 1024
    unreadable_retry_ms: PositiveInt = 30_000
    """After this time a partition with an unreadable record is read, and reported, again."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 3 * self.heartbeat_interval_ms > self.session_timeout_ms:
            raise ValueError("heartbeat_interval_ms must be at most a third of session_timeout_ms")
        if self.session_timeout_ms > self.rebalance_timeout_ms:
            raise ValueError("rebalance_timeout_ms must not be below session_timeout_ms")
        if self.publish_timeout_ms < self.request_timeout_ms:
            raise ValueError("publish_timeout_ms must not be below request_timeout_ms")
        return self

    @property
    def drain_timeout_ms(self) -> int:
        """What of the rebalance timeout a listener may use.

        A heartbeat passes before it is called, and joining again must fit into the rest.
        """
        return self.rebalance_timeout_ms * 3 // 4

    @property
    def consumer_request_timeout_ms(self) -> int:
        """A consumer's requests outlast a rebalance.

        aiokafka has one timeout for all of them, and giving up a JoinGroup early leaves a ghost in
        the group that everybody then waits for.
        """
        return max(self.request_timeout_ms, self.rebalance_timeout_ms + 5_000)


class Connection(TypedDict):
    """aiokafka's keyword arguments that producer, consumer and admin client share."""

    bootstrap_servers: str
    client_id: str
    security_protocol: str
    ssl_context: ssl.SSLContext | None
    sasl_mechanism: str
    sasl_plain_username: str | None
    sasl_plain_password: str | None


def connection(servers: str, client_id: str, security: KafkaSecurity) -> Connection:
    """How to reach and address the servers (``host:port``, several separated by commas)."""
    password = security.password
    return Connection(
        bootstrap_servers=servers,
        client_id=client_id,
        security_protocol=security.protocol,
        ssl_context=security.ssl_context(),
        sasl_mechanism=security.sasl_mechanism,
        sasl_plain_username=security.username,
        sasl_plain_password=None if password is None else password.get_secret_value(),
    )
