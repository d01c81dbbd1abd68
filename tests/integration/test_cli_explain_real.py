"""`sagas explain` and `sagas list --stuck` on real servers: a service without workers, found and mended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.cli_project import Project
from tests.integration.test_cli_real import DEADLINE_S, Start, servers, shop, start

__all__ = ["servers", "shop", "start"]  # the fixtures of the other module

Document = dict[str, Any]


def until(look: Callable[[], Document], wanted: Callable[[Document], bool]) -> Document:
    """What a command says once it is as wanted."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not wanted(found := look()):
        assert time.monotonic() < deadline_s, found
    return found


def test_a_saga_that_waits_for_nobody_is_found_and_explained(
    shop: Project, servers: dict[str, str], start: Start
) -> None:
    def explained(saga_id: str = "o1") -> Document:
        ended = shop.sagas("explain", saga_id, "--json", "--timeout", "20", **servers)
        document: Document = json.loads(ended.out)
        return document | {"code": ended.code}

    def stuck() -> Document:
        ended = shop.sagas("list", "--stuck", "--json", "--timeout", "20", **servers)
        assert ended.code == 0, ended
        document: Document = json.loads(ended.out)
        return document

    some = start("orders", "inventory", "--create-topics", **servers)
    some.wait_for("worker.running", 2)
    missing = until(explained, lambda one: bool(one["code"] == 4))  # the table is prepared first
    assert missing["situation"] == "not found"
    begun = shop.sagas("start", "ordering", "--payload", '{"order_id": "o1"}', **servers)
    assert begun.code == 0, begun

    told = until(
        explained, lambda one: any(w["step"] == "capture_payment" for w in one["waits_for"])
    )
    (waits,) = told["waits_for"]
    assert (told["code"], told["situation"], told["status"]) == (0, "waiting", "RUNNING")
    assert (waits["events"], waits["workers"]["count"]) == (["payments.PaymentCaptured.v1"], 0)
    assert told["choices"][0]["command"] == "sagas run payments"
    assert told["dead_letters"] == []
    text = shop.sagas("explain", "o1", "--timeout", "20", **servers)
    assert "Waiting for PaymentCaptured from payments (capture_payment) since" in text.out
    assert "sagas run payments  # starts a worker of payments" in text.out

    found = until(stuck, lambda one: one["found"] == 1)
    (line,) = found["stuck"]
    assert (line["id"], line["why"], line["service"]) == ("o1", "no worker", "payments")
    assert (found["unfinished"], found["looked_at"], found["complete"]) == (1, 1, True)
    table = shop.sagas("list", "--stuck", "--timeout", "20", **servers)
    assert "1 stuck (1 no worker) among 1 that have not ended." in table.out

    payments = start("payments", **servers)
    payments.wait_for("worker.running")
    ended = until(explained, lambda one: bool(one["status"] == "COMPLETED"))
    assert (ended["situation"], ended["stuck"], ended["choices"]) == ("completed", [], [])
    assert stuck()["found"] == 0
    quiet = shop.sagas("list", "--stuck", "--timeout", "20", **servers)
    assert quiet.out == "None is stuck among 0 that have not ended.\n"
