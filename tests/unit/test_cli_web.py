"""`sagas web` as typed: new users, wrong settings, and the end by a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sagas.web.console.users import Role, User, users_of
from tests.cli_project import Project, write_project
from tests.integration.test_cli_real import Running


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


def new_user(shop: Project, given: str, password: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sagas.cli", "web", "--new-user", given]
    return subprocess.run(
        command,
        cwd=shop.directory,
        env=shop.environment(),
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_new_user_is_a_line_that_can_be_read(shop: Project) -> None:
    made = new_user(shop, "ann:operator", "correct horse")
    assert made.returncode == 0, made.stderr
    assert "correct horse" not in made.stdout
    assert users_of(made.stdout, "x").proven("ann", "correct horse") == User("ann", Role.OPERATOR)


@pytest.mark.parametrize(
    ("given", "password", "said"),
    [
        ("ann", "correct horse", "expected NAME:ROLE"),
        ("ann:root", "correct horse", "expected NAME:ROLE"),
        ("a b:admin", "correct horse", "is no name"),
        ("ann:admin", "short", "at least 10 characters"),
    ],
)
def test_a_user_that_is_none(shop: Project, given: str, password: str, said: str) -> None:
    refused = new_user(shop, given, password)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_others_are_not_let_in_without_users(shop: Project) -> None:
    ended = shop.sagas("web", "--host", "0.0.0.0")
    assert ended.code == 2
    assert "does not listen on 0.0.0.0" in ended.only_line
    wrong = shop.sagas("web", SAGAS_WEB_ORIGIN="sagas.example.com")
    assert wrong.code == 2
    assert "expected an origin such as https://sagas.example.com" in wrong.only_line


def test_it_ends_when_it_is_told_to_with_browsers_there(shop: Project) -> None:
    nowhere = {"SAGAS_REDIS": "redis://127.0.0.1:1/0", "SAGAS_LOG_FORMAT": "json"}
    running = Running(shop.start("web", "--port", "0", **nowhere))
    try:
        (line,) = running.wait_for("console.listening")
        with httpx.stream("GET", f"{line['address']}live", timeout=30) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: away"
            assert "Redis at redis://127.0.0.1:1/0 is not available" in next(lines)
            assert running.ends(signal.SIGTERM) == 0
    finally:
        running.close()
