"""Documents of the reference system: what they say follows from the declarations, and is well formed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from events.choreographies.order_fulfilment import OrderFulfilment
from events.orders import OrderLine, OrderPlaced
from sagas import Event, Saga, Service, Start, Step
from sagas.application import SagaSettings, topics_of
from sagas.cli.project import open_project
from sagas.core.errors import ContractViolation
from sagas.exports.asyncapi import asyncapi
from sagas.exports.canvas import canvas
from sagas.exports.contracts import events_of, schema_of, shared_schemas
from sagas.exports.headers import HEADERS
from sagas.exports.topic_list import topic_commands
from sagas.wire.envelope import Envelope, Trail, encode_headers
from sagas.wire.topics import Topics
from tests.cli_project import Project, write_project

ROOT = Path(__file__).resolve().parents[2]
TOPICS = Topics("shop")
SETTINGS = SagaSettings(namespace="shop", partitions=3)


@pytest.fixture(scope="module")
def services() -> tuple[Service, ...]:
    return open_project(ROOT).services()


@pytest.fixture(scope="module")
def document(services: tuple[Service, ...]) -> dict[str, Any]:
    return made(services)


def made(services: tuple[Service, ...]) -> dict[str, Any]:
    return asyncapi(
        [OrderFulfilment],
        services,
        topics=TOPICS,
        wanted=topics_of([OrderFulfilment], services, SETTINGS),
        title="shop",
        version="1",
    )


def resolved(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [one for part in value.values() for one in references(part)]
    if isinstance(value, list):
        return [one for part in value for one in references(part)]
    return []


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = references(document)
    assert len(found) > 100
    for reference in found:
        assert resolved(document, reference) is not None


def test_channels_are_the_projects_topics(document: dict[str, Any]) -> None:
    channels = document["channels"]
    assert set(channels) == {
        *(f"shop.{name}.events" for name in OrderFulfilment.definition.services),
        "shop.order-fulfilment.control",
    }
    binding = channels["shop.inventory.events"]["bindings"]["kafka"]
    assert binding == {"topic": "shop.inventory.events", "partitions": 3, "replicas": 1}
    assert "inventory.StockReserved.v1" in channels["shop.inventory.events"]["messages"]
    control = channels["shop.order-fulfilment.control"]["messages"]
    assert {"sagas.StepTimedOut.v1", "sagas.TimerFired.v1"} <= control.keys()
    assert not any(type_.startswith("orders.") for type_ in control)
    assert "orders.OrderCancellationRequested.v1" in channels["shop.orders.events"]["messages"]


def sent(document: dict[str, Any], operation: str) -> set[str]:
    messages = document["operations"][operation]["messages"]
    return {message["$ref"].rpartition("/")[2] for message in messages}


def test_operations_say_who_sends_and_receives_what(document: dict[str, Any]) -> None:
    reserve = "inventory.performs.order-fulfilment.reserve_stock"
    assert sent(document, reserve) == {
        "inventory.StockReserved.v1",
        "inventory.StockUnavailable.v1",
    }
    release = "inventory.undoes.order-fulfilment.reserve_stock"
    assert sent(document, release) == {"inventory.StockReleased.v1"}
    received = document["operations"]["inventory.consumes.shop_orders_events"]
    assert received["action"] == "receive"
    assert received["bindings"]["kafka"]["groupId"]["enum"] == ["shop.inventory"]
    heard = sent(document, "inventory.consumes.shop_orders_events")
    assert "orders.OrderPlaced.v1" in heard
    assert "orders.ReceiptConfirmed.v1" not in heard
    observed = sent(document, "notifications.consumes.shop_payments_events")
    assert "payments.PaymentDeclined.v1" in observed


def test_a_message_has_its_contract(document: dict[str, Any]) -> None:
    message = document["components"]["messages"]["orders.OrderPlaced.v1"]
    assert message["title"] == "OrderPlaced"
    assert message["bindings"]["kafka"]["key"]["description"] == "order_id of the saga"
    schema = resolved(document, message["payload"]["$ref"])
    assert "order_id" in schema["required"]


def test_the_document_of_one_service(services: tuple[Service, ...]) -> None:
    (inventory,) = [one for one in services if one.name == "inventory"]
    operations = made((inventory,))["operations"]
    assert {name.partition(".")[0] for name in operations} == {"inventory"}


def test_models_of_one_name_are_told_apart() -> None:
    def module(publisher: str, what: type) -> tuple[type[Event], type[Event]]:
        class Placed(Event, type=f"{publisher}.Placed.v1"):
            key: str
            what: what  # type: ignore[valid-type]

        class Gone(Event, type=f"{publisher}.Gone.v1"):
            key: str

        return Placed, Gone

    (begun, ended), (done, undone) = module("a", int), module("b", str)

    class Twice(Saga):
        key = "key"
        start = Start(begun, by="a", undone=ended)
        step = Step(by="b", on=begun, done=done, undone=undone)

    document = asyncapi([Twice], [], topics=TOPICS, wanted=[], title="x", version="1")
    messages = document["components"]["messages"]
    first, second = (messages[f"{name}.Placed.v1"]["payload"]["$ref"] for name in ("a", "b"))
    assert first != second
    assert resolved(document, first)
    assert resolved(document, second)


def test_headers_are_those_that_are_written() -> None:
    full = Envelope(
        id="1",
        type="a.B.v1",
        source="a",
        time_ms=0,
        saga="s",
        saga_id="k",
        fingerprint="f",
        seq=1,
        generation=1,
        epoch=1,
        assumed=True,
        status="RUNNING",
        folded=("x",),
        causation_id="0",
        payload=b"{}",
        trail=Trail(correlation_id="c", tenant="t", deadline_ms=1, traceparent="p", tracestate="s"),
    )
    written = {name: value.decode() for name, value in encode_headers(full)}
    assert written.keys() == HEADERS["properties"].keys()
    Draft202012Validator(HEADERS).validate(written)


# --- schemas --------------------------------------------------------------------------------------


def test_schemas_are_schemas_and_accept_what_is_sent(services: tuple[Service, ...]) -> None:
    events = events_of([OrderFulfilment], services)
    assert {"orders.OrderPlaced.v1", "sagas.SagaParked.v1"} <= events.keys()
    for type_, event in events.items():
        schema = schema_of(event)
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"urn:event:{type_}"
    line = OrderLine(sku="a", quantity=1, unit_price_cents=5)
    placed = OrderPlaced(order_id="o-1", customer_id="c-1", lines=(line,))
    validator = Draft202012Validator(schema_of(OrderPlaced))
    validator.validate(json.loads(placed.model_dump_json()))
    assert not validator.is_valid({"order_id": 7})


def test_a_field_that_can_not_be_described_is_said() -> None:
    class Odd(Event, type="odd.Odd.v1"):
        what: Callable[[], int]

    with pytest.raises(ContractViolation, match=r"odd\.Odd\.v1 has a field that no JSON Schema"):
        schema_of(Odd)
    with pytest.raises(ContractViolation, match="an event has a field"):
        shared_schemas({"odd.Odd.v1": Odd}, "#/{model}")


# --- canvases -------------------------------------------------------------------------------------


def test_a_canvas_has_times_attempts_and_policies(services: tuple[Service, ...]) -> None:
    pages = {one.name: canvas(one, TOPICS, made_by="x") for one in services}
    assert "| 30 s | 5 times, after 100 ms up to 6 s 400 ms |" in pages["payments"]
    assert "| wait, retriable |" in pages["orders"]
    assert "| 7 d |  |" in pages["orders"]
    assert "the saga is parked" in pages["inventory"]
    assert "as the consumer group `shop.inventory`" in pages["inventory"]


# --- topics ---------------------------------------------------------------------------------------


def test_topics_as_commands(services: tuple[Service, ...]) -> None:
    wanted = topics_of([OrderFulfilment], services, SETTINGS)
    text = topic_commands(wanted)
    assert text.count("\ntopic ") == len(wanted)
    assert (
        "topic shop.orders.events --partitions 3 --replication-factor 1 "
        "--config compression.type=uncompressed\n"
    ) in text
    assert (
        "retry.10s --partitions 3 --replication-factor 1 --config compression.type=uncompressed"
        in text
    )
    assert "--config retention.ms=604800000" in text


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


def test_asyncapi_and_schemas_as_files(shop: Project, tmp_path: Path) -> None:
    assert shop.sagas("export", "asyncapi", "--write", "asyncapi.json").code == 0
    told = json.loads((tmp_path / "asyncapi.json").read_text())
    assert (told["info"]["title"], told["info"]["version"]) == ("shop", "1")
    assert shop.sagas("export", "schemas", "--write", "schemas").code == 0
    assert (tmp_path / "schemas" / "inventory.StockReserved.v1.json").exists()
    printed = json.loads(shop.sagas("export", "schemas").out)
    assert "inventory.StockReserved.v1" in printed
    assert shop.sagas("export", "canvas", "--write", "pages").code == 0
    assert (tmp_path / "pages" / "orders.md").read_text().startswith("# orders\n")


def test_one_service(shop: Project) -> None:
    ended = shop.sagas("export", "canvas", "--service", "payments", SAGAS_NAMESPACE="west")
    assert ended.out.startswith("# payments\n")
    assert "`west.payments.events`" in ended.out
    unknown = shop.sagas("export", "asyncapi", "--service", "payment")
    assert unknown.code == 2
    assert "Did you mean 'payments'?" in unknown.only_line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("acls",), "Say for which server: --kafka or --redis"),
        (("acls", "--kafka", "--redis"), "Say for which server"),
        (("topics", "--write", "no/such/file"), "can not be written"),
        (("schemas", "--write", "pyproject.toml"), "can not be made"),
    ],
)
def test_what_can_not_be_exported(shop: Project, arguments: tuple[str, ...], said: str) -> None:
    ended = shop.sagas("export", *arguments)
    assert ended.code == 2
    assert said in ended.only_line


def test_a_project_with_nothing_in_it(tmp_path: Path) -> None:
    empty = write_project(tmp_path, pyproject="[tool.sagas]\nsagas = []\n")
    ended = empty.sagas("export", "topics")
    assert ended.code == 2
    assert "names nothing to export" in ended.only_line
