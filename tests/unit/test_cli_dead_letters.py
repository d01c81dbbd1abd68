"""``sagas dead-letters``: what can be typed wrongly, and how bytes from anywhere are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sagas.cli.dead_letters import rate_of, since_ms
from sagas.cli.letters import print_letters
from sagas.operating.letters import Parked, Wanted, safe
from sagas.runtime.dead_letter_box import Letter
from tests.cli_project import Project, write_project

LETTER = Letter(
    service="payments",
    topic="t",
    partition=0,
    offset=1,
    key=b"o1",
    value=b"{",
    headers=(),
    reason="No good",
    exception="InvalidMessage",
    time_ms=1_000,
)


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "--why", "x"], "Say which: the ID of one letter, or --all"),
        (["discard", "a/0/1", "--all", "--why", "x"], "Say which"),
        (["replay", "--all"], "Say why"),
        (["discard", "a/0/1", "--why", " "], "Say why"),
        (["show", "a-0-1"], "'a-0-1' is no topic/partition/offset"),
        (["show"], "Missing argument 'ID'"),
        (["list", "--since", "yesterday"], "--since yesterday is no time such as 30m"),
        (["list", "--service", "payment"], "Did you mean 'payments'?"),
        (["replay", "--all", "--rate", "0/s", "--why", "x"], "--rate 0/s is no rate such as 10/s"),
    ],
)
def test_a_mistake_is_one_line(shop: Project, arguments: list[str], said: str) -> None:
    ended = shop.sagas("dead-letters", *arguments, SAGAS_KAFKA="127.0.0.1:1")
    assert ended.code == 2
    assert said in ended.only_line


@pytest.mark.parametrize("command", [["list"], ["replay", "--all", "--why", "x", "--by", "ann"]])
def test_a_kafka_that_is_away(shop: Project, command: list[str]) -> None:
    ended = shop.sagas("dead-letters", *command, "--timeout", "1", SAGAS_KAFKA="127.0.0.1:1")
    assert ended.code == 5
    assert "Kafka at 127.0.0.1:1 is not available" in ended.only_line
    assert "AddressFamily" not in ended.only_line


def test_moments_and_rates() -> None:
    assert since_ms(None) == 0
    assert since_ms("1970-01-01T00:00:01Z") == 1_000
    assert since_ms("1h") - since_ms("2h") == pytest.approx(3_600_000, abs=1_000)
    assert rate_of(None) == 0
    assert rate_of("10/s") == rate_of("10") == 0.1


def test_what_is_shown_is_safe() -> None:
    assert safe(b'{"a": "\xc3\xa9"}') == '{"a": "é"}'
    assert safe(b"\xff\x1b[2J\n\x00") == "\\xff\\x1b[2J\\n\\x00"
    assert safe("a\nb\u202e", lines=True) == "a\nb\\u202e"
    assert safe(None) == ""


def test_a_command_can_be_typed_as_it_is() -> None:
    parked = Parked("ordering", "o 1; rm", several=True)
    assert parked.command == "sagas resume 'o 1; rm' --saga ordering --why \"...\""


def test_a_list_fits_the_terminal_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    letter = replace(
        LETTER, topic="sagas.inventory.events", reason="abcdefghijklmnopqrstuvwxyz" * 4
    )
    print_letters([letter], resolved=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert letter.id in lines[2]
    at = lines[0].index("reason")
    assert "".join(line[at:].strip() for line in lines[2:]) == letter.reason


def test_filters_narrow() -> None:
    assert Wanted().matches(LETTER)
    assert Wanted(id="t/0/1", reason="invalidmessage", saga_id="o1", since_ms=1_000).matches(LETTER)
    assert not Wanted(id="t/0/2").matches(LETTER)
    assert not Wanted(reason="fine").matches(LETTER)
    assert not Wanted(saga_id="o2").matches(LETTER)
    assert not Wanted(since_ms=1_001).matches(LETTER)
