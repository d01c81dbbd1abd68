"""What the servers need on the machine: Debian's packages, and Kafka's libraries from Maven."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
POM = ROOT / "scripts/lib/kafka/pom.xml"
POLICY = Path("/usr/sbin/policy-rc.d")


def need(program: str, package: str) -> str:
    """Find a program on this machine, installing Debian's package when it is missing."""
    if found := _find(program):
        return found
    if os.geteuid() != 0:
        raise SystemExit(f"{program} is missing and only root can install it: install {package}")
    with _exclusively("apt"), _no_service_started():
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        if subprocess.run(install, env=quiet, capture_output=True, check=False).returncode:
            # The package lists are old or absent: renew them, and let this try speak.
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(install, env=quiet, check=True, stdout=subprocess.DEVNULL)
    if found := _find(program):
        return found
    raise SystemExit(f"{package} was installed, but {program} is still not to be found")


def kafka_libs() -> Path:
    """Fetch Kafka's libraries, once for every version of the pom, and say where they are."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    libs = ROOT / ".stack" / f"kafka-libs-{digest}"
    with _exclusively("kafka-libs"):
        if not libs.exists():
            maven = need("mvn", "maven")
            # The build happens beside the goal, so that half a download is never taken for all.
            with tempfile.TemporaryDirectory(dir=libs.parent) as scratch:
                goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
                output = f"-DoutputDirectory={scratch}/libs"
                command = [maven, "-q", "-B", "-f", str(POM), *goal, output]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                Path(scratch, "libs").rename(libs)
    return libs


def _find(program: str) -> str | None:
    """Look on PATH, then where Debian keeps PostgreSQL's own programs (newest version first)."""
    if found := shutil.which(program):
        return found
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)
    return str(places[0]) if places else None


@contextmanager
def _exclusively(name: str) -> Iterator[None]:
    """One at a time on this machine: two stacks may be started at once."""
    (ROOT / ".stack").mkdir(exist_ok=True)
    with (ROOT / ".stack" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_service_started() -> Iterator[None]:
    """Keep Debian from starting the service that it installs; leave a policy of others alone."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)
