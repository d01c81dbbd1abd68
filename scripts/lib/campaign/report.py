"""What is known of a run, as data."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from importlib.metadata import version
from typing import Any

from campaign.process import ROOT
from campaign.run import Campaign

__all__ = ["as_data"]

_PACKAGES = ("aiokafka", "redis", "sqlalchemy", "asyncpg", "pydantic", "uvloop")


def as_data(campaign: Campaign, command: str) -> dict[str, Any]:
    """Everything that is known of the run, as JSON can hold it."""
    world, judgement = campaign.world, campaign.judgement
    customers = None if world is None else world.customers
    operators = None if world is None else world.operators
    return {
        "findings": campaign.findings,
        "command": command,
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "seed": campaign.seed,
        "seconds": campaign.seconds,
        "orders_per_second": campaign.rate,
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {"Python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES}
        | {"servers": _servers()},
        "rest_s": round(campaign.rest_s, 1),
        "faults": [
            {
                "at_s": round(one.at_s, 1),
                "took_s": round(one.took_s, 1),
                "kind": one.kind.value,
                "detail": one.detail,
            }
            for one in sorted(campaign.faults, key=lambda one: one.at_s)
        ],
        "faults_by_kind": dict(Counter(one.kind.value for one in campaign.faults)),
        "sagas": judgement.ends,
        "customers": {}
        if customers is None
        else {
            "orders wanted": len(customers.placing),
            "orders accepted": len(customers.accepted),
            "receipts confirmed": len(customers.confirmed),
            "receipts refused, for the order was turned back": len(customers.refused),
            "requests sent again": customers.repeated,
        },
        "operators": {}
        if operators is None
        else {
            "sagas resumed": len(operators.resumed),
            "sagas cancelled": operators.cancelled,
            "real letters replayed": operators.replayed,
            "poison letters discarded": operators.discarded,
        },
        "parked_for": {} if operators is None else dict(Counter(operators.resumed.values())),
        "topics": judgement.figures,
        "events": judgement.types,
        "letters": judgement.letters,
        "rebuilds": {} if world is None else dict(sorted(world.logs.rebuilds.items())),
        "left": judgement.left,
        "logs": {} if world is None else dict(sorted(world.logs.events.items())),
        "handler_errors": {} if world is None else dict(world.logs.handler_errors),
    }


def _servers() -> str:
    redis = _said("redis-server", "--version").split()
    kafka = next(iter(sorted(ROOT.glob(".stack/kafka-libs-*/kafka_2.13-*.jar"))), None)
    named = "" if kafka is None else kafka.stem.removeprefix("kafka_2.13-")
    return f"Kafka {named}, {' '.join(redis[:3])}, {_said('psql', '--version')}"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip()
