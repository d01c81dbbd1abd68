"""`sagas top` on a real terminal: it draws, and gives the screen back however it is ended."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.cli_project import Project
from tests.integration.test_cli_real import DEADLINE_S, Start, servers, shop, start

__all__ = ["servers", "shop", "start"]  # the fixtures of the other module

ENTER, LEAVE, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


class Terminal:
    """A command on a terminal of its own, and all that it has written to it."""

    def __init__(self, shop: Project, *arguments: str, **variables: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sagas.cli", *arguments],
            cwd=shop.directory,
            env=shop.environment(**variables)
            | {"TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        self.written = b""

    def read(self) -> None:
        """What has been written, waited for briefly: without a reader the command would block."""
        if select.select([self._master], [], [], 0.1)[0]:
            self.written += os.read(self._master, 65_536)

    def until(self, wanted: bytes) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while wanted not in self.written:
            assert time.monotonic() < deadline_s, self.written
            assert self.process.poll() is None, self.written
            self.read()

    def ends(self, one: signal.Signals) -> int:
        self.process.send_signal(one)
        while self.process.poll() is None:
            self.read()
        self.read()
        return self.process.returncode

    @property
    def is_as_before(self) -> bool:
        return termios.tcgetattr(self._slave) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._slave)
        os.close(self._master)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_screen_is_given_back(
    shop: Project, servers: dict[str, str], start: Start, ending: signal.Signals
) -> None:
    start("orders", "--create-topics", **servers).wait_for("worker.running")
    begun = shop.sagas("start", "ordering", "--payload", '{"order_id": "o1"}', **servers)
    assert begun.code == 0, begun
    terminal = Terminal(shop, "top", "--interval", "0.2", "--timeout", "20", **servers)
    try:
        terminal.until(b"1 RUNNING")
        assert ENTER in terminal.written
        terminal.until(b"1 stuck")
        terminal.until(b"no worker")
        assert terminal.ends(ending) == 0
        assert LEAVE in terminal.written
        assert terminal.written.rindex(CURSOR) > terminal.written.rindex(b"RUNNING")
        assert b"Traceback" not in terminal.written
        assert terminal.is_as_before
    finally:
        terminal.close()


def test_once_is_for_scripts(shop: Project, servers: dict[str, str], start: Start) -> None:
    start("orders", "--create-topics", **servers).wait_for("worker.running")
    ended = shop.sagas("top", "--once", "--interval", "0.2", "--json", "--timeout", "20", **servers)
    assert ended.code == 0, ended
    document = json.loads(ended.out)
    assert [one["saga"] for one in document["sagas"]] == ["ordering"]
    assert document["sagas"][0]["started_per_s"] == 0
    services = {one["service"]: one["workers"] for one in document["services"]}
    assert services == {"orders": 1, "inventory": 0, "payments": 0}
    piped = shop.process("top", "--interval", "0.2", "--timeout", "20", **servers)
    assert piped.code == 0, piped
    assert "none stuck" in piped.out
    assert "\x1b" not in piped.out


def test_a_server_that_is_away_from_the_start(tmp_path: Path, shop: Project) -> None:
    away = {"SAGAS_REDIS": "redis://127.0.0.1:1/0"}
    ended = shop.sagas("top", "--once", "--timeout", "2", **away)
    assert (ended.code, "127.0.0.1:1/0 is not available" in ended.only_line) == (5, True)
