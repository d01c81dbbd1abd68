"""The monitor's composition root: which sagas, which servers, which promises."""

from __future__ import annotations

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.adapters.faust.app import TailApp, TailSettings, tail_app
from sagas.application import SagaSettings
from sagas.monitoring.observer import SagaObserver
from sagas.wire.topics import Topics
from services.monitor.settings import MonitorSettings

__all__ = ["monitor_app"]


def monitor_app(servers: SagaSettings, settings: MonitorSettings) -> TailApp:
    """The Faust application. It connects to Kafka, and to nothing else, once it is started."""
    topics, security = Topics(servers.namespace), servers.kafka_security
    password = security.password
    return tail_app(
        SagaObserver([OrderFulfilment], topics, settings.policy),
        TailSettings(
            servers=servers.kafka,
            username=security.username if security.protocol.startswith("SASL") else None,
            password=None if password is None else password.get_secret_value(),
            mechanism=security.sasl_mechanism,
            ssl_context=security.ssl_context(),
            group=topics.group("monitor"),
            state=settings.state,
            http_host=settings.http_host,
            http_port=settings.http_port,
        ),
    )
