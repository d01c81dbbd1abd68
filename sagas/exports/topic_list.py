"""The topics that a project needs, as commands for Kafka's own tools."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from sagas.adapters.kafka.admin import configuration_of
from sagas.ports import NewTopic

__all__ = ["topic_commands"]


def topic_commands(wanted: Iterable[NewTopic]) -> str:
    """A shell script of ``kafka-topics`` commands; a topic that is there is left as it is.

    ``sagas topics apply`` does the same without Kafka's tools.
    """
    lines = [
        "#!/bin/sh",
        "set -eu",
        ': "${KAFKA:?host:port of a broker}"',
        "topic() {",
        '    ${KAFKA_TOPICS:-kafka-topics.sh} --bootstrap-server "$KAFKA" \\',
        '        ${KAFKA_ADMIN:+--command-config "$KAFKA_ADMIN"} --create --if-not-exists --topic "$@"',
        "}",
        "",
    ]
    for topic in wanted:
        settings = "".join(
            f" --config {name}={value}" for name, value in configuration_of(topic).items()
        )
        lines.append(
            f"topic {shlex.quote(topic.name)} --partitions {topic.partitions} "
            f"--replication-factor {topic.replication_factor}{settings}"
        )
    return "\n".join(lines) + "\n"
