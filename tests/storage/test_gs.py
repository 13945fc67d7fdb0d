"""gs:// by gcsfs, on an emulator."""

from collections.abc import Iterator
from typing import Any

import pytest

from serve_app.errors import ConfigError
from serve_app.repository import downloads
from serve_app.repository.reasons import Absent
from serve_app.repository.storage import hold, state

pytest.importorskip("gcp_storage_emulator", reason="needs gcp-storage-emulator")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts an object, into an empty bucket."""
    from gcp_storage_emulator.server import create_server
    from gcsfs.core import GCSFileSystem

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="models")
    server.start()
    port = server._api._httpd.server_address[1]
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    monkeypatch.setattr(downloads, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0.001)
    fs = GCSFileSystem(endpoint_url=url, token="anon", skip_instance_cache=True)
    yield lambda key, data: fs.pipe_file(f"models/{key}", data)
    server.stop()


def test_versions(bucket: Any) -> None:
    bucket("digits/1/model.onnx", b"one" * 1000)
    bucket("digits/2/model.onnx", b"two" * 1000)
    found = hold("gs://models/digits", "all")
    assert {v: (at / "model.onnx").read_bytes()[:3] for v, at in found.folders.items()} == {
        "1": b"one",
        "2": b"two",
    }
    assert state("gs://models/digits", "all") == found.state
    bucket("digits/2/model.onnx", b"new" * 1000)
    assert state("gs://models/digits", "all") != found.state
    with pytest.raises(ConfigError, match="versions: 7 asked for, gs://models/digits holds 1, 2"):
        hold("gs://models/digits", ["7"])


def test_why_not(bucket: Any) -> None:
    with pytest.raises(Absent, match="storageUri 'gs://models/none': there is no such thing"):
        hold("gs://models/none", "all")
