"""Stores on loopback: real servers where there are some, small ones that speak the protocol else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.bucket import S3Bucket, s3
from tests.storage.web import Files, serving


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TANDEM_CACHE_LIMIT", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with s3() as url:
        yield url


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Bucket:
    """One of the test's own, to which this process is led."""
    made = S3Bucket(s3_server, f"b{abs(hash(request.node.nodeid)) % 10**12}")
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def web() -> Iterator[Files]:
    """Files on an HTTP server, with its ways of being bad."""
    with serving() as files:
        yield files
