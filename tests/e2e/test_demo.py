"""The demo, as a newcomer runs it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def _environment() -> None:
    """What the demo would do first, and talk of, in a tree whose lock or project has changed."""
    subprocess.run(["scripts/venv"], cwd=ROOT, check=True, capture_output=True)


def demo(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/demo", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


@pytest.mark.slow
def test_in_memory_every_saga_ends_and_the_books_balance() -> None:
    run = demo("--orders", "60", "--seed", "7")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "9 (by the seed 6 declined, 3 out of stock)" in run.stdout
    assert ": COMPLETED" in run.stdout
    assert ": COMPENSATED" in run.stdout
    for event in ("ShipmentCreated", "PaymentCaptured", "PaymentDeclined", "OrderCancelled"):
        assert event in run.stdout
    assert "Stock and money add up" in run.stdout
    assert run.stderr == ""


@pytest.mark.slow
def test_on_real_servers_every_saga_ends_and_the_books_balance(
    kafka_servers: str, redis_url: str, postgresql_url: str
) -> None:
    run = demo(
        *("--real", "--orders", "200", "--seed", "7"),
        SAGAS_KAFKA=kafka_servers,
        SAGAS_REDIS=redis_url,
        SAGAS_POSTGRESQL=postgresql_url,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "30 (by the seed 20 declined, 10 out of stock)" in run.stdout
    assert "Stock and money add up" in run.stdout


@pytest.mark.slow
def test_is_interrupted_cleanly() -> None:
    with subprocess.Popen(
        ["scripts/demo", "--orders", "100000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        first = run.stdout.readline()
        progress = run.stdout.readline()
        run.send_signal(signal.SIGINT)
        rest, errors = run.stdout.read(), run.stderr.read()
        assert run.wait(timeout=60) == 130, errors
    assert "100000 orders" in first
    assert "/100000 ended" in progress
    assert rest.endswith("interrupted\n")
    assert errors == ""


def test_refuses_shares_that_are_none() -> None:
    run = demo("--declined", "0.8", "--out-of-stock", "0.3")
    assert run.returncode == 2
    assert "0 to 1, also together" in run.stderr


def test_a_saga_that_has_not_ended_is_a_finding() -> None:
    ran = demo("--orders", "60", "--timeout", "0.01")
    assert ran.returncode == 1
    assert "sagas have not ended in time" in ran.stdout
