"""Azure Blob Storage by adlfs: its addresses, and what it says on Azurite, where there is one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adlfs.spec import ContentSettings

from loadtests.storage.azurite import Azurite, command, env_of
from loadtests.storage.faults import LIMIT, Campaign
from loadtests.storage.server import Store
from serve_app.errors import ConfigError
from serve_app.repository import buckets, downloads
from serve_app.repository.addresses import Address, address
from serve_app.repository.buckets import AzureStorage
from serve_app.repository.reasons import Absent
from serve_app.repository.storage import hold, state

SIGNED = "https://account.blob.core.windows.net/models/digits?sv=2024&sig=abc"
Put = Callable[[str, bytes], Any]
emulated = pytest.mark.skipif(not command(), reason="no azurite-blob, and AZURITE names none")


def opened(uri: str) -> AzureStorage:
    at = address(uri)
    assert isinstance(at, Address)
    return AzureStorage(at)


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def put(azurite: Azurite, monkeypatch: pytest.MonkeyPatch, request: Any) -> Put:
    """Puts a blob, into a container of the test's own, which is called `where` then."""
    from azure.storage.blob import ContainerClient

    for name, value in env_of(azurite.port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(downloads, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0.001)
    monkeypatch.setattr(buckets, "BLOCK", 4096)
    where = f"c{abs(hash(request.node.nodeid)) % 10**12}"
    (said,) = env_of(azurite.port).values()
    made: Any = ContainerClient.from_connection_string(said, where)
    made.create_container()

    def put(key: str, data: bytes, **more: Any) -> str:
        container = ContainerClient.from_connection_string(said, where, **more)
        container.upload_blob(key, data, overwrite=True)
        return f"az://{where}/{key.partition('/')[0]}"

    return put


@pytest.mark.parametrize("uri", [SIGNED, "abfss://models@account.dfs.core.windows.net/digits"])
def test_the_account_is_in_the_address(uri: str) -> None:
    store: Any = opened(uri)
    assert store.fs.account_name == "account"
    assert store.at.at == "models/digits"


def test_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "other")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    store: Any = opened("az://models/digits")
    assert (store.fs.account_name, store.fs.account_key) == ("other", "a2V5")


def test_what_its_listings_say() -> None:
    store = opened(SIGNED)
    settings = ContentSettings(content_md5=bytearray.fromhex("b1946ac92492d2347c6235b4d2611184"))
    info = {"name": "models/digits/1/m", "size": 6, "etag": '"0x8DC"', "content_settings": settings}
    (file,) = [store._file("1/m", info)]
    assert (file.tag, file.size) == ("0x8DC", 6)
    assert file.checksum == "md5:b1946ac92492d2347c6235b4d2611184"
    assert store._file("1/m", {**info, "content_settings": None}).checksum == ""


@emulated
def test_versions(put: Put) -> None:
    put("digits/1/model.onnx", b"one" * 10_000)
    put("digits/2/labels/names.txt", b"zero one")
    uri = put("digits/2/model.onnx", b"two" * 10_000)
    found = hold(uri, "all")
    assert list(found.folders) == ["1", "2"]
    assert (found.folders["2"] / "model.onnx").read_bytes() == b"two" * 10_000
    assert (found.folders["2"] / "labels" / "names.txt").read_bytes() == b"zero one"
    assert state(uri, "all") == found.state
    put("digits/2/model.onnx", b"new" * 10_000)
    assert state(uri, "all") != found.state
    assert (hold(uri, "latest").folders["2"] / "model.onnx").read_bytes() == b"new" * 10_000
    with pytest.raises(ConfigError, match=r"versions: 7 asked for, .* holds 1, 2"):
        hold(uri, ["7"])


@emulated
def test_one_blob_and_a_name_that_begins_alike(put: Put) -> None:
    put("ab/2/m", b"other")
    uri = put("a/1/m", b"this")
    assert list(hold(uri, "all").folders) == ["1"]
    put("single/model.onnx", b"x" * 9_000)
    held = hold(uri.replace("/a", "/single/model.onnx"), "all")
    assert (held.folders["1"] / "model.onnx").read_bytes() == b"x" * 9_000


@emulated
def test_the_address_of_an_account_is_the_same_store(put: Put) -> None:
    container = put("m/1/model", b"data").split("/")[2]
    for uri in (
        f"abfss://{container}@account.dfs.core.windows.net/m",
        f"https://account.blob.core.windows.net/{container}/m",
    ):
        assert (hold(uri, "all").folders["1"] / "model").read_bytes() == b"data"


@emulated
def test_an_upload_in_blocks_has_no_checksum_and_is_taken(put: Put) -> None:
    uri = put("m/1/model", bytes(range(256)) * 64, max_single_put_size=1, max_block_size=4096)
    at = address(uri)
    assert isinstance(at, Address)
    (file,) = AzureStorage(at).manifest("1").files
    assert (file.size, file.checksum) == (16_384, "")
    assert (hold(uri, "all").folders["1"] / "model").read_bytes() == bytes(range(256)) * 64


@emulated
def test_why_not(put: Put, monkeypatch: pytest.MonkeyPatch, azurite: Azurite) -> None:
    uri = put("m/1/model", b"data")
    with pytest.raises(Absent, match="there is no such thing"):
        hold(uri.replace("/m", "/none"), "all")
    with pytest.raises(Absent, match="there is no such thing"):
        hold("az://nobodys/m", "all")
    (said,) = env_of(azurite.port).values()
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", said.replace("AccountKey=", "AccountKey=b3Ro"))
    with pytest.raises(ConfigError, match=r"no permission: .*authenticate") as refused:
        hold(uri, "all")
    assert "b3Ro" not in str(refused.value)


@emulated
def test_some_faults_of_each_kind(cache: Path) -> None:
    """Cuts, flipped bits, full disks, killed processes: loadtests.storage, against Azurite."""
    store = Store("azure")
    try:
        figures = Campaign(store, cache, 5).run(13, print)
    finally:
        store.close()
    assert figures.wrong == []
    assert not figures.twice
    assert figures.most <= LIMIT
