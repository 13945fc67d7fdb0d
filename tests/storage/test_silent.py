"""A store that takes what it is sent and says nothing, as behind a firewall that drops packets."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from s3fs import S3FileSystem

from loadtests.storage.azurite import env_of
from serve_app import file_systems
from serve_app.releases.store import STATE, store_at
from serve_app.repository import buckets, downloads, fetching, hub
from serve_app.repository.reasons import Later, Unreachable
from serve_app.repository.storage import hold
from tests.storage.bucket import S3Bucket

STORES = {
    "s3://models/digits": "s3fs",
    "gs://models/digits": "gcsfs",
    "https://account.blob.core.windows.net/models/digits": "adlfs",
    "hf://owner/digits": "huggingface_hub",
}


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """The port of one; connections are taken and kept until the end."""
    kept: list[socket.socket] = []

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(listening.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in kept:
                one.close()


def led(port: int) -> dict[str, str]:
    """What leads each library there."""
    there = f"http://127.0.0.1:{port}"
    return {
        "AWS_ENDPOINT_URL": there, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "STORAGE_EMULATOR_HOST": there, "HF_ENDPOINT": there, **env_of(port),
    }  # fmt: skip


@pytest.mark.parametrize("uri", STORES)
def test_a_model_says_that_its_store_says_nothing(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often and long the library itself would go on: ten minutes and more by default."""
    pytest.importorskip(STORES[uri])
    monkeypatch.setattr(fetching, "QUIET_S", 0.8)
    monkeypatch.setattr(file_systems, "QUIET_S", 0.4)
    monkeypatch.setattr(hub, "TIMEOUT_S", 0.4)
    monkeypatch.setattr(fetching, "PAUSE_S", 0.001)
    with silent() as port:
        for name, value in led(port).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(
            Unreachable, match=r"its store can't be asked: .*(no answer within 0\.4 s|time)"
        ):
            hold(uri, "all")


def test_a_download_that_stays_silent_is_given_up(
    bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("m/model", b"x" * 10)
    monkeypatch.setattr(downloads, "QUIET_S", 0.0)

    def says_nothing(*args: object) -> Iterator[bytes]:
        raise TimeoutError("no answer")
        yield b""

    monkeypatch.setattr(buckets.Bucket, "read", says_nothing)
    with pytest.raises(Later, match=r"model: TimeoutError: no answer, \d+ s long"):
        hold(bucket.uri("m"), "all")


def test_so_does_where_the_desired_state_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_systems, "QUIET_S", 0.3)
    S3FileSystem.clear_instance_cache()  # of which some lead elsewhere
    with silent() as port:
        for name, value in led(port).items():
            monkeypatch.setenv(name, value)
        kept = store_at(f"s3://models/state-{port}")
        for ask in (
            kept.names,
            lambda: kept.get(STATE),
            lambda: kept.put(STATE, b""),
            lambda: kept.delete("x"),
        ):
            with pytest.raises(TimeoutError, match=r"no answer within 0\.3 s"):
                ask()
    S3FileSystem.clear_instance_cache()
