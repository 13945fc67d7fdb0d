"""https:// and http:// on loopback, by a server that knows ETags and ranges, or doesn't."""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.repository import addresses, downloads
from serve_app.repository.reasons import Absent
from serve_app.repository.storage import Held, hold, state
from tests.storage.web import Files

DATA = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("serve_app.repository.fetching.PAUSE_S", 0.001)


def model(held: Held) -> bytes:
    return (held.folders["1"] / "model.onnx").read_bytes()


def test_a_file_is_a_model_s_folder(web: Files) -> None:
    web.by_path["/a/model.onnx"] = DATA
    for _ in range(3):
        assert model(hold(f"{web.url}/a/model.onnx", "all")) == DATA
    assert len([one for _, one in web.asked if not one]) == 1  # the rest only asked whether it changed
    before = state(f"{web.url}/a/model.onnx", "all")
    web.by_path["/a/model.onnx"] = DATA[::-1]
    assert state(f"{web.url}/a/model.onnx", "all") != before
    assert model(hold(f"{web.url}/a/model.onnx", "all")) == DATA[::-1]


def test_an_archive_with_versions(web: Files) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        for version in "12":
            info = tarfile.TarInfo(f"digits/{version}/model.onnx")
            info.size = 1
            made.addfile(info, io.BytesIO(version.encode()))
    web.by_path["/digits.tar.gz"] = packed.getvalue()
    found = hold(f"{web.url}/digits.tar.gz?download=1", "all").folders
    assert {version: (at / "model.onnx").read_bytes() for version, at in found.items()} == {
        "1": b"1",
        "2": b"2",
    }


def test_a_cut_is_gone_on_with_by_range(web: Files) -> None:
    web.by_path["/model.onnx"] = DATA
    web.cuts = 3
    assert model(hold(f"{web.url}/model.onnx", "all")) == DATA
    assert [one for _, one in web.asked][-4:] == ["", "bytes=1000-", "bytes=2000-", "bytes=3000-"]


@pytest.mark.parametrize("lacks", ["ranges", "etags"])
def test_without_ranges_or_etags_all_of_it_comes_again(web: Files, lacks: str) -> None:
    web.by_path["/model.onnx"] = DATA
    setattr(web, lacks, False)
    web.cuts = 2
    assert model(hold(f"{web.url}/model.onnx", "all")) == DATA
    web.cuts = 10**6
    web.by_path["/model.onnx"] = DATA[::-1]
    with pytest.raises(ConfigError, match=r"model.onnx: .*times in a row"):
        hold(f"{web.url}/model.onnx", "all")


def test_without_an_etag_nothing_is_kept(web: Files) -> None:
    """Nobody could tell that it changed."""
    web.by_path["/model.onnx"], web.etags = DATA, False
    assert model(hold(f"{web.url}/model.onnx", "all")) == DATA
    web.by_path["/model.onnx"] = DATA[::-1]
    assert model(hold(f"{web.url}/model.onnx", "all")) == DATA[::-1]


def test_what_changes_on_its_way(web: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old beginning never goes with the new end."""
    web.by_path["/model.onnx"] = DATA
    web.cuts = 1
    real = downloads.Download._pause

    def pause(*args: object) -> None:
        web.by_path["/model.onnx"] = DATA[::-1]
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(downloads.Download, "_pause", pause)
    assert model(hold(f"{web.url}/model.onnx", "all")) == DATA[::-1]


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_sizes_and_one_that_isnt_told(web: Files, size: int) -> None:
    web.by_path["/model.onnx"] = DATA[:size]
    assert model(hold(f"{web.url}/model.onnx", "all")) == DATA[:size]
    web.ranges, web.chunked = False, True
    web.by_path["/other/model.onnx"] = DATA[:size]
    assert model(hold(f"{web.url}/other/model.onnx", "all")) == DATA[:size]
    web.chunked, web.lengths = False, False
    with pytest.raises(ConfigError, match="neither its size nor where it ends"):
        hold(f"{web.url}/model.onnx", "all")


def test_a_checksum_that_the_server_tells(web: Files) -> None:
    web.by_path["/model.onnx"], web.ranges = DATA, False
    web.md5 = base64.b64encode(hashlib.md5(DATA).digest()).decode()
    assert model(hold(f"{web.url}/model.onnx", "all")) == DATA
    web.by_path["/model.onnx"] = DATA[:-1] + b"!"
    with pytest.raises(ConfigError, match=r"model.onnx: its md5 is .*, its store says"):
        hold(f"{web.url}/model.onnx", "all")


def test_why_not(web: Files) -> None:
    with pytest.raises(Absent, match="there is no such thing: HTTPError: HTTP Error 404"):
        hold(f"{web.url}/absent.zip", "all")
    web.by_path["/model.onnx"], web.user = DATA, "me:hunter2"
    with pytest.raises(ConfigError, match="no permission: HTTPError: HTTP Error 401"):
        hold(f"{web.url}/model.onnx", "all")
    known = web.url.replace("://", "://me:hunter2@")
    assert model(hold(f"{known}/model.onnx", "all")) == DATA
    web.encoding = "gzip"
    with pytest.raises(ConfigError, match="compresses it on its way") as refused:
        hold(f"{known}/model.onnx?sig=hunter2", "all")
    assert "hunter2" not in str(refused.value)


def test_passwords_are_in_no_file_of_the_cache(web: Files, cache: Path) -> None:
    web.by_path["/model.onnx"], web.user = DATA, "me:hunter2"
    hold(f"{web.url.replace('://', '://me:hunter2@')}/model.onnx?token=hunter2", "all")
    assert all(b"hunter2" not in file.read_bytes() for file in cache.rglob("*") if file.is_file())


def test_another_query_is_another_file(web: Files) -> None:
    web.by_path["/model.onnx"] = DATA
    one, other = (state(f"{web.url}/model.onnx?id={number}", "all") for number in "12")
    assert one != other


def test_where_it_leads_on(web: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    web.by_path["/model.onnx"] = DATA
    web.moved = {
        "/old/model.onnx": "/model.onnx",
        "/out/model.onnx": "http://example.invalid/model.onnx",
    }
    assert model(hold(f"{web.url}/old/model.onnx", "all")) == DATA
    with pytest.raises(ConfigError, match=f"http:// to another machine.*{addresses.PLAIN_VARIABLE}=1"):
        hold(f"{web.url}/out/model.onnx", "all")
    web.moved = {"/file/model.onnx": "file:///etc/passwd"}
    with pytest.raises(ConfigError, match=r"file"):
        hold(f"{web.url}/file/model.onnx", "all")


def test_a_server_that_isnt_there() -> None:
    with pytest.raises(ConfigError, match=r"its store can't be asked: URLError: .*[Rr]efused"):
        hold("http://127.0.0.1:9/model.onnx", "all")
