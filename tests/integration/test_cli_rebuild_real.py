"""`sagas rebuild` and `sagas verify` on real servers, and who looks before any worker has run."""

from __future__ import annotations

import json
import signal
from collections.abc import ItemsView
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis as redis_client

from sagas.adapters.redis.keys import Keys
from sagas.ports import BUCKETS, bucket_of
from tests.cli_project import Ended, Project, write_project
from tests.integration.test_cli_real import Running

pytestmark = pytest.mark.real

ENDED = {"o1": "COMPLETED", "o2": "COMPLETED", "poor1": "COMPENSATED"}


class Shop:
    """The project, and its keys on Redis."""

    def __init__(self, project: Project, servers: dict[str, str]) -> None:
        self.project = project
        self.servers = servers
        self.namespace = servers["SAGAS_NAMESPACE"]
        self.redis = redis_client.Redis.from_url(servers["SAGAS_REDIS"])

    def sagas(self, *arguments: str) -> Ended:
        return self.project.process(*arguments, **self.servers, COLUMNS="90")

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        ended = self.sagas(*arguments, "-o", "json")
        assert ended.code == code, ended
        document: dict[str, Any] = json.loads(ended.out)
        return document

    def start(self, saga_id: str) -> None:
        payload = json.dumps({"order_id": saga_id})
        ended = self.sagas("start", "ordering", "--payload", payload)
        assert ended.code == 0, ended

    def run_until_all_have_ended(self) -> None:
        running = Running(self.project.start("run", "--all", **self.servers))
        try:
            running.wait_for("worker.running", 3)
            for saga_id, status in ENDED.items():
                wanted = {"saga_id": saga_id, "status": status}.items()
                running.wait_for_line(partial(_has, wanted))
            assert running.ends(signal.SIGTERM) == 0
        finally:
            running.close()

    def lose_row(self, saga_id: str) -> None:
        row, _ = Keys(self.namespace).instance("ordering", saga_id)
        assert self.redis.delete(row) == 1

    def lose_all(self) -> None:
        """What FLUSHALL does, to this namespace only."""
        keys = list(self.redis.scan_iter(match=f"*{self.namespace}*", count=1000))
        assert keys
        self.redis.delete(*keys)


def _has(wanted: ItemsView[str, str], line: dict[str, Any]) -> bool:
    return wanted <= line.items()


@pytest.fixture
def shop(kafka_servers: str, redis_url: str, tmp_path: Path) -> Shop:
    servers = {
        "SAGAS_KAFKA": kafka_servers,
        "SAGAS_REDIS": redis_url,
        "SAGAS_NAMESPACE": f"rebuild-{uuid4().hex[:12]}",
        "SAGAS_PARTITIONS": "2",
        "SAGAS_LOG_FORMAT": "json",
    }
    shop = Shop(write_project(tmp_path), servers)
    assert shop.sagas("topics", "apply").code == 0
    return shop


def test_a_lost_table_is_told_verified_and_rebuilt(shop: Shop) -> None:
    # nobody has ever run here
    listed = shop.sagas("list")
    assert listed.code == 0
    assert listed.out.startswith("No sagas yet.\nNo worker has prepared the saga table of ordering")
    stuck = shop.sagas("list", "--stuck")
    assert "No worker has prepared the saga table of ordering" in stuck.out
    nobody = shop.sagas("show", "o1")
    assert (nobody.code, "No worker has prepared" in nobody.only_line) == (5, True)
    for saga_id in ENDED:
        shop.start(saga_id)

    shop.run_until_all_have_ended()
    assert shop.json("verify")["differences"] == []
    assert shop.json("list")["unready"] == []

    # a row is deleted behind everybody's back
    shop.lose_row("o1")
    found = shop.json("verify", code=1)
    assert "row missing" in {one["kind"] for one in found["differences"]}
    assert {one["saga_id"] for one in found["differences"]} == {"o1"}
    told = shop.sagas("verify")
    assert (told.code, "puts one right" in told.out) == (1, True)
    assert shop.json("verify", "--saga-id", "o2")["differences"] == []
    assert shop.sagas("rebuild", "--saga-id", "o1").code == 0
    assert shop.json("verify")["differences"] == []
    assert shop.sagas("rebuild", "--saga-id", "nobody").code == 4
    assert shop.sagas("rebuild", "--saga-id", "o1", "--dry-run").code == 2

    # everything is gone
    shop.lose_all()
    lost = shop.json("list")
    assert lost["unready"] == [{"saga": "ordering", "lost": BUCKETS, "rebuilding": 0}]
    (dry,) = shop.json("rebuild", "--dry-run")["rebuilt"]
    assert (dry["dry_run"], sum(dry["by_status"].values())) == (True, 3)
    assert shop.json("list")["counts"]["COMPLETED"] == 0, "a dry run changes nothing"
    unknown = shop.sagas("replay-compensations")
    assert (unknown.code, "--from-topics" in unknown.only_line) == (5, True)
    (meant,) = shop.json("replay-compensations", "--from-topics", "--again", "reserve_stock")[
        "sagas"
    ]
    assert (meant["saga_id"], meant["outcome"]) == ("poor1", "planned")

    bucket = bucket_of("o1")
    shop.sagas("rebuild", "--bucket", str(bucket))
    (standing,) = shop.json("list")["unready"]
    assert standing["lost"] == BUCKETS - 1
    assert f"{BUCKETS - 1} of {BUCKETS} buckets are lost" in shop.sagas("list").out
    rebuilt = shop.sagas("rebuild")
    assert (rebuilt.code, "3 instances are put back" in rebuilt.out) == (0, True), rebuilt
    assert shop.json("verify")["differences"] == []
    again = shop.json("list")
    assert {one["id"]: one["status"] for one in again["sagas"]} == ENDED
    assert again["unready"] == []
