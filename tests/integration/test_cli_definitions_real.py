"""``sagas definitions`` against a real Redis."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis import Redis

from sagas.adapters.redis.definitions import RedisDefinitionBook
from sagas.adapters.redis.keys import Keys
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.change.kept import decode_definition, encode_definition
from sagas.cli.errors import ExitCode
from sagas.language.reading import read
from tests.cli_project import write_project


@pytest.mark.real
def test_definitions_are_listed_and_those_that_nothing_runs_under_forgotten(
    tmp_path: Path, redis_url: str
) -> None:
    project, name = write_project(tmp_path), f"test-{uuid4().hex}"
    variables = {"SAGAS_REDIS": redis_url, "SAGAS_NAMESPACE": name}
    book = RedisDefinitionBook(RedisTableSettings(url=SecretStr(redis_url), namespace=name))
    try:
        assert "No worker has started yet." in project.sagas("definitions", **variables).out
        saga = json.loads(project.sagas("check", "-o", "json").out)["sagas"][0]
        project.sagas("export", "definition", "shop.ordering", "--write", "now.json")
        now = read((tmp_path / "now.json").read_text()).definition
        assert now.fingerprint == saga["fingerprint"]
        undone = replace(now.steps[1], undone="inventory.Freed.v1")
        old = replace(now, steps=(now.steps[0], undone, *now.steps[2:]))
        assert decode_definition(encode_definition(old)) == old
        for one in (now, old):
            asyncio.run(book.keep("ordering", one.fingerprint, encode_definition(one)))
        listed = project.sagas("definitions", **variables)
        assert listed.code == ExitCode.FINDINGS
        assert "this one" in listed.out
        assert "Freed, which is" in listed.out
        counted = project.sagas("definitions", "--count", "-o", "json", **variables)
        assert counted.code == 0, counted
        assert json.loads(counted.out)["definitions"] == [
            {
                "saga": "ordering",
                "fingerprint": now.fingerprint,
                "is_current": True,
                "live": 0,
                "problem": "",
            }
        ]
        assert list(asyncio.run(book.kept("ordering"))) == [now.fingerprint]
    finally:
        with Redis.from_url(redis_url) as client:
            client.unlink(Keys(name).definitions("ordering"))


@pytest.mark.real
def test_a_worker_does_not_start_beside_sagas_that_it_can_not_finish(
    tmp_path: Path, redis_url: str, kafka_servers: str
) -> None:
    project, name = write_project(tmp_path), f"test-{uuid4().hex}"
    variables = {"SAGAS_REDIS": redis_url, "SAGAS_NAMESPACE": name, "SAGAS_KAFKA": kafka_servers}
    book = RedisDefinitionBook(RedisTableSettings(url=SecretStr(redis_url), namespace=name))
    project.sagas("export", "definition", "shop.ordering", "--write", "now.json")
    text = (tmp_path / "now.json").read_text().replace("StockReleased", "StockFreed")
    old = read(text).definition
    running = Keys(name).indexes("ordering", "RUNNING")[0]
    with Redis.from_url(redis_url) as client:
        try:
            asyncio.run(book.keep("ordering", old.fingerprint, encode_definition(old)))
            client.zadd(running, {"o-1": 1})
            ended = project.process("run", "inventory", "--create-topics", **variables)
            assert ended.code == ExitCode.FINDINGS, ended
            for words in (
                "up to 1 sagas run",
                "StockFreed, which is recorded, is known no more",
                f"--accept-definition {old.fingerprint}",
            ):
                assert words in ended.err
            assert "Traceback" not in ended.err
            assert list(asyncio.run(book.kept("ordering"))) == [old.fingerprint]
        finally:
            client.unlink(running, Keys(name).definitions("ordering"))
