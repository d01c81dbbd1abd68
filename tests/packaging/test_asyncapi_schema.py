"""The exported document against AsyncAPI's own JSON Schema, as its authors publish it for tools."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from local_stack.packages import need

from sagas import Saga
from sagas.application import SagaSettings, topics_of
from sagas.cli.project import open_project
from sagas.exports.asyncapi import asyncapi
from sagas.wire.topics import Topics
from tests.trips import Trip

pytestmark = pytest.mark.registry

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, VERSION = "@asyncapi/specs", "6.11.1"
SHA256 = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"


def npm() -> str:
    """The package client; without one, skip at a developer's, and install Debian's in CI."""
    if found := shutil.which("npm"):
        return found
    if os.environ.get("CI"):
        return need("npm", "npm")
    pytest.skip("no npm on this machine: apt-get install npm")


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Draft7Validator:
    folder = tmp_path_factory.mktemp("asyncapi")
    command = [npm(), "pack", f"{PACKAGE}@{VERSION}", "--silent", f"--pack-destination={folder}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob("*.tgz")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    with tarfile.open(archive) as files:
        member = files.extractfile("package/schemas/3.0.0-without-$id.json")
        assert member is not None
        schema = json.loads(member.read())
    return Draft7Validator(schema)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    project = open_project(ROOT)
    sagas: list[type[Saga]] = [*project.sagas(), Trip]
    services = project.services()
    return asyncapi(
        sagas,
        services,
        topics=Topics("shop"),
        wanted=topics_of(sagas, services, SagaSettings()),
        title="shop",
        version="1.0.0",
    )


def test_the_document_is_valid(validator: Draft7Validator, document: dict[str, Any]) -> None:
    problems = [
        f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)
    ]
    assert problems == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.update(asyncapi="2.0.0"),
        lambda document: document["info"].pop("version"),
        lambda document: next(iter(document["operations"].values())).update(action="publish"),
        lambda document: next(iter(document["channels"].values())).update(address=7),
        lambda document: next(iter(document["components"]["messages"].values())).update(payload=1),
    ],
)
def test_the_schema_finds_what_is_wrong(
    validator: Draft7Validator, document: dict[str, Any], spoil: Callable[[dict[str, Any]], Any]
) -> None:
    wrong = copy.deepcopy(document)
    spoil(wrong)
    assert not validator.is_valid(wrong)
