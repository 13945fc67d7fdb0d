"""Azure's addresses as adlfs takes them; there is no emulator to ask."""

from typing import Any

import pytest
from adlfs.spec import ContentSettings

from serve_app.repository.addresses import Address, address
from serve_app.repository.buckets import AzureStorage

SIGNED = "https://account.blob.core.windows.net/models/digits?sv=2024&sig=abc"


def opened(uri: str) -> AzureStorage:
    at = address(uri)
    assert isinstance(at, Address)
    return AzureStorage(at)


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


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
