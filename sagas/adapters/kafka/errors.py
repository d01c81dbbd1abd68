"""aiokafka's errors in the framework's words: who must act, what was tried, what to do."""

from __future__ import annotations

import re

from aiokafka import errors

from sagas.adapters.kafka.settings import Connection
from sagas.core.errors import SettingsError
from sagas.ports import BrokerUnavailable

__all__ = ["CONNECTION_ERRORS", "missing_topic", "translated"]

CONNECTION_ERRORS = (errors.KafkaError, OSError, TimeoutError)
"""All that says "no" or "no answer"; anything else is a defect and is not caught."""

_REFUSALS = (
    errors.ClusterAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.TopicAuthorizationFailedError,
    errors.InvalidSessionTimeoutError,
    errors.InconsistentGroupProtocolError,
    errors.InvalidGroupIdError,
    errors.InvalidTopicError,
)


def translated(error: Exception, connection: Connection, doing: str) -> Exception:
    """SettingsError for what only a deployer can change, BrokerUnavailable for all the rest."""
    servers = connection["bootstrap_servers"]
    seen = _words(error)
    if isinstance(error, _REFUSALS):
        return SettingsError(
            f"Kafka at {servers} refuses {doing}: {seen}; change the access rules or the settings"
        )
    return BrokerUnavailable(
        f"Kafka at {servers} did not confirm {doing}: {seen}; "
        "if it lasts, check that it runs, its address and the credentials"
    )


def _words(error: Exception) -> str:
    """Its class once, and its text without Python's way of writing addresses."""
    name = type(error).__name__
    text = re.sub(r"^(\[Error \d+\] )?" + name + r"(: )?", "", str(error))
    text = re.sub(r"\('([^']*)', (\d+), <[^>]*>\)", r"\1:\2", text)
    return f"{name}: {text}" if text else name


def missing_topic(topic: str, connection: Connection) -> SettingsError:
    """A topic that was named and is not there."""
    return SettingsError(
        f"topic {topic} does not exist on Kafka at {connection['bootstrap_servers']}: create it "
        "first, as `sagas topics apply` does, or allow this client to see it"
    )
