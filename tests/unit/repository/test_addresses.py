"""URIs of stores, in the forms that KServe, Azure's and the hub's own tools write them."""

import pytest

from serve_app.errors import ConfigError
from serve_app.repository.addresses import PLAIN_VARIABLE, Address, address
from serve_app.repository.buckets import azure_arguments


@pytest.mark.parametrize(
    ("uri", "kind", "at"),
    [
        ("s3://bucket/models/digits/", "s3", "bucket/models/digits"),
        ("s3://bucket", "s3", "bucket"),
        ("s3://bucket/a b//c", "s3", "bucket/a b/c"),
        ("gs://bucket/models/digits.tar.gz", "gs", "bucket/models/digits.tar.gz"),
        ("az://container/models", "azure", "container/models"),
        ("abfss://container@account.dfs.core.windows.net/models", "azure", "container/models"),
        ("azure://container@account.blob.core.windows.net/models", "azure", "container/models"),
        ("https://account.blob.core.windows.net/container/models", "azure", "container/models"),
        ("hf://owner/name", "hf", "owner/name"),
        ("hf://owner/name/", "hf", "owner/name"),
        ("https://host/a/model.onnx", "web", "https://host/a/model.onnx"),
        ("http://127.0.0.1:9000/digits.zip", "web", "http://127.0.0.1:9000/digits.zip"),
        ("http://localhost/digits.zip", "web", "http://localhost/digits.zip"),
        ("http://[::1]:80/digits.zip", "web", "http://[::1]:80/digits.zip"),
    ],
)
def test_what_is_fetched(uri, kind, at):
    found = address(uri)
    assert isinstance(found, Address)
    assert (found.kind, found.at) == (kind, at)


@pytest.mark.parametrize(
    ("uri", "at", "revision"),
    [
        ("hf://owner/name", "owner/name", "main"),
        ("hf://owner/name@v1.0", "owner/name", "v1.0"),
        ("hf://owner/name:0123abc", "owner/name", "0123abc"),  # as KServe writes it
        ("hf://owner/name@main/onnx", "owner/name/onnx", "main"),
        ("hf://owner/name@refs/pr/3", "owner/name", "refs/pr/3"),
        ("hf://owner/name@a%2Fb", "owner/name", "a/b"),
    ],
)
def test_revisions_of_the_hub(uri, at, revision):
    found = address(uri)
    assert (found.at, found.revision) == (at, revision)


def test_azure_s_account_and_signature(monkeypatch):
    for name in ("AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    found = address("https://account.blob.core.windows.net/c/m?sv=2024&sig=secret")
    assert azure_arguments(found) == {"account_name": "account", "sas_token": "sv=2024&sig=secret"}
    assert "secret" not in found.where
    assert azure_arguments(address("az://c/m")) == {}  # AZURE_STORAGE_ACCOUNT_NAME has it
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token")
    found = address("abfss://c@account.dfs.core.windows.net/m")
    assert azure_arguments(found) == {"account_name": "account", "anon": False}


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3:///models", "s3://BUCKET/PATH is wanted"),
        ("s3://bucket/m?versionId=3", "no query or fragment"),
        ("s3://bucket/../other/m", "no '.' or '..' in the path"),
        ("s3://key:secret@bucket/m", "takes no name or password"),
        ("gs://", "gs://BUCKET/PATH is wanted"),
        ("az://", "az://CONTAINER/PATH"),
        ("abfss://account.dfs.core.windows.net@container/m", "CONTAINER@ACCOUNT"),
        ("https://account.blob.core.windows.net/", "CONTAINER/PATH is wanted"),
        ("hf://gpt2", "hf://OWNER/NAME is wanted"),
        ("hf://owner/name@", "hf://OWNER/NAME is wanted"),
        ("hf://owner/na me", "hf://OWNER/NAME is wanted"),
        ("hf://owner/name/../x", "no '.' or '..'"),
        ("http://host/m.zip", f"https://, or {PLAIN_VARIABLE}=1"),
        ("http://localhost.evil.example/m.zip", "can be read and changed on its way"),
        ("https://host/", "no file's name"),
        ("https:///m.zip", "https://HOST/PATH is wanted"),
        ("https://host:port/m.zip", "[Pp]ort"),
        ("https://host/m.zip#part", "takes no fragment"),
        ("oci://registry/image:1", "oci:// is an image, which Kubernetes mounts"),
    ],
)
def test_what_leads_nowhere(uri, said):
    with pytest.raises(ConfigError, match=f"storageUri '.*': .*{said}"):
        address(uri)


def test_plain_http_for_those_who_allow_it(monkeypatch):
    monkeypatch.setenv(PLAIN_VARIABLE, "1")
    assert address("http://host/m.zip").kind == "web"


def test_a_password_is_no_part_of_what_is_said():
    found = address("https://user:hunter2@host/m.zip?X-Amz-Signature=hunter2")
    assert found.where == "https://host/m.zip"
