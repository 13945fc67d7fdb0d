"""s3:// by s3fs, on moto's server."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve_app.config import RemoteModel, parse
from serve_app.errors import ConfigError
from serve_app.repository import buckets, downloads
from serve_app.repository.reasons import Absent
from serve_app.repository.storage import hold, names_in, state
from serve_app.runtimes.host import ModelHost
from tests.storage.bucket import S3Bucket

DATA = bytes(range(256)) * 40
MB = 2**20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0.001)
    monkeypatch.setattr(buckets, "BLOCK", 4096)


@pytest.fixture
def digits(bucket: S3Bucket) -> str:
    for version in "12":
        bucket.put(f"digits/{version}/model.onnx", version.encode() * 10_000)
    bucket.put("digits/2/labels/names.txt", b"zero one")
    bucket.put("digits/2/", b"")  # as consoles make folders
    return bucket.uri("digits")


def test_versions(digits: str, bucket: S3Bucket) -> None:
    found = hold(digits, "all")
    assert list(found.folders) == ["1", "2"]
    files = [file for file in found.folders["2"].rglob("*") if file.is_file()]
    assert {str(f.relative_to(found.folders["2"])) for f in files} == {"model.onnx", "labels/names.txt"}
    assert (found.folders["2"] / "model.onnx").read_bytes() == b"2" * 10_000
    assert found.state == state(digits, "all")
    bucket.put("digits/3/model.onnx", b"3")
    assert list(hold(digits, "latest").folders) == ["3"]
    assert names_in(digits) == ["1", "2", "3"]


def test_a_prefix_that_begins_alike_is_another_model(bucket: S3Bucket) -> None:
    bucket.put("a/1/m", b"x")
    bucket.put("ab/2/m", b"y")
    assert list(hold(bucket.uri("a"), "all").folders) == ["1"]


def test_one_object(bucket: S3Bucket) -> None:
    bucket.put("models/model.onnx", DATA)
    held = hold(bucket.uri("models/model.onnx"), "all")
    assert (held.folders["1"] / "model.onnx").read_bytes() == DATA


def test_an_upload_in_parts_is_checked(bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "BLOCK", 8 * MB)
    client, name = bucket.client, bucket.name
    upload = client.create_multipart_upload(Bucket=name, Key="m/1/big")["UploadId"]
    parts = []
    for number, piece in enumerate([b"a" * 5 * MB, b"b" * 5 * MB, b"c"], 1):
        part = client.upload_part(
            Bucket=name, Key="m/1/big", UploadId=upload, PartNumber=number, Body=piece
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    client.complete_multipart_upload(
        Bucket=name, Key="m/1/big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    told = []
    real = downloads.Hashes

    def hashes(said: str, size: int) -> Any:
        told.append(said)
        return real(said, size)

    monkeypatch.setattr(downloads, "Hashes", hashes)
    held = hold(bucket.uri("m"), "all")
    assert (held.folders["1"] / "big").stat().st_size == 10 * MB + 1
    assert told[0].startswith(f"md5-{5 * MB}:")


@pytest.mark.parametrize("more", [{"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}], ids=["kms"])
def test_an_etag_that_is_no_checksum_isnt_taken_for_one(bucket: S3Bucket, more: dict[str, str]) -> None:
    bucket.put("m/1/model", DATA, **more)
    assert (hold(bucket.uri("m"), "all").folders["1"] / "model").read_bytes() == DATA


def test_why_not(bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Absent, match=f"storageUri 's3://{bucket.name}/none': there is no such thing"):
        hold(bucket.uri("none"), "all")
    with pytest.raises(Absent, match="there is no such thing"):
        hold("s3://no-such-bucket-of-anyones/m", "all")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(ConfigError, match="no credentials that are taken: NoCredentialsError"):
        hold(bucket.uri("m"), "all")


def test_credentials_from_a_mounted_file(
    digits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert list(hold(digits, "latest").folders) == ["2"]


def test_a_store_that_is_down(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ConfigError, match=r"its store can't be asked: .*127.0.0.1:9"):
        hold(digits, "all")


MODEL = {"name": "m", "modelFormat": "python", "class": "tests.unit.models:Double"}


async def test_a_model_and_its_checksum(bucket: S3Bucket) -> None:
    bucket.put("m/1/factor", b"3")
    host = ModelHost(parse(RemoteModel, MODEL | {"storageUri": bucket.uri("m")}))
    host.load()
    assert not host.changed()
    about = host.describe(None, 1)
    # sha256sum of the one byte.
    sha = "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce"
    assert about.versions["1"].properties == {"checksum": f"sha256:{sha}"}
    bucket.put("m/2/factor", b"4")
    assert host.changed()
    host.close()


def test_what_is_in_use_is_known_to_others(bucket: S3Bucket, cache: Path, monkeypatch: Any) -> None:
    for name in "ab":
        bucket.put(f"{name}/1/model", DATA)
    monkeypatch.setenv("TANDEM_CACHE_LIMIT", str(len(DATA) + 100))
    host = ModelHost(parse(RemoteModel, MODEL | {"storageUri": bucket.uri("a")}))
    host.load()
    with pytest.raises(ConfigError, match=r"TANDEM_CACHE_LIMIT.*the rest of it is in use"):
        hold(bucket.uri("b"), "all")
    host.close()
    hold(bucket.uri("b"), "all")
    (about,) = cache.rglob("entry.json")
    assert json.loads(about.read_text())["source"].endswith("/b/1")
