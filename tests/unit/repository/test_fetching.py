"""What is fetched, whole and once, and what isn't: over a store in memory."""

import errno
import hashlib
import os
import stat
import threading

import pytest

from serve_app.errors import ConfigError
from serve_app.repository import cache as caches
from serve_app.repository import downloads
from serve_app.repository.reasons import Absent, Full, GivenUp
from serve_app.repository.storage import hold, state

URI = "s3://bucket/m"
MODEL = {"1/model.onnx": b"one" * 1000, "2/model.onnx": b"two" * 1000, "2/sub/more": b"more"}


def held(policy="all", **more):
    return hold(URI, policy, **more)


def test_versions_are_found_and_only_those_wanted_are_fetched(memory):
    store = memory(MODEL)
    found = held("latest")
    assert list(found.folders) == ["2"]
    assert (found.folders["2"] / "model.onnx").read_bytes() == b"two" * 1000
    assert (found.folders["2"] / "sub" / "more").read_bytes() == b"more"
    assert {path.partition("/")[0] for path, _ in store.asked} == {"2"}
    assert list(held(["1"]).folders) == ["1"]
    assert list(held().folders) == ["1", "2"]
    assert len(store.asked) == 3  # each file once
    with pytest.raises(ConfigError, match="versions: 3 asked for, s3://bucket/m holds 1, 2"):
        held(["3"])


def test_a_folder_without_versions_is_version_one(memory):
    memory({"model.onnx": b"x", "tokenizer/vocab.txt": b"y"})
    assert list(held().folders) == ["1"]
    memory({"v2/model.onnx": b"x"})
    with pytest.raises(ConfigError, match=r"v2 is no version.*rename v2 to 2"):
        held()


def test_another_content_is_another_entry(memory):
    store = memory(MODEL)
    before, old = state(URI, "all"), held()
    assert before == old.state == state(URI, "all")
    store.files["2/model.onnx"] = b"new" * 1000
    assert state(URI, "all") != before
    new = held()
    assert new.folders["1"] == old.folders["1"]
    assert (old.folders["2"] / "model.onnx").read_bytes() == b"two" * 1000
    assert (new.folders["2"] / "model.onnx").read_bytes() == b"new" * 1000


def test_checksums_are_what_sha256sum_says(memory):
    """Of one file its own; of several that of `find -type f | sort | xargs sha256sum`."""
    memory(MODEL)
    sums = held().checksums
    assert sums["1"] == hashlib.sha256(b"one" * 1000).hexdigest()
    lines = [(b"two" * 1000, "model.onnx"), (b"more", "sub/more")]
    text = "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for data, path in lines)
    assert sums["2"] == hashlib.sha256(text.encode()).hexdigest()


def cuts(times, at=1000):
    """The connection ends after some bytes, so many times."""
    left = [times]

    def spoil(path, start, data):
        if left[0]:
            left[0] -= 1
            yield data[:at]
            raise ConnectionResetError("cut")
        yield data

    return spoil


def test_a_cut_is_gone_on_with(memory):
    store = memory({"1/model": bytes(range(256)) * 40})
    store.spoil = cuts(5)
    assert (held().folders["1"] / "model").read_bytes() == bytes(range(256)) * 40
    assert [start for _, start in store.asked] == [0, 1000, 2000, 3000, 4000, 5000]


def test_a_store_that_only_cuts_is_given_up(memory, monkeypatch):
    store = memory(MODEL)
    store.spoil = cuts(1000, at=0)
    with pytest.raises(
        ConfigError, match=r"storageUri 's3://bucket/m': .*ConnectionResetError: cut, 6 ti"
    ):
        held()
    assert len(store.asked) <= 3 * downloads.TRIES
    store.spoil = lambda path, start, data: iter([data])
    assert list(held().folders) == ["1", "2"]


def test_what_ends_early_without_a_word_is_gone_on_with(memory):
    store = memory({"1/model": b"x" * 5000})
    ends = iter([b"x" * 10, b"x" * 20])
    store.spoil = lambda path, start, data: iter([next(ends, data)])
    assert (held().folders["1"] / "model").read_bytes() == b"x" * 5000


def test_a_wrong_byte_comes_again_and_never_serves(memory):
    store = memory({"1/model": b"x" * 5000})
    store.sums["1/model"] = f"md5:{hashlib.md5(b'x' * 5000).hexdigest()}"
    wrong = iter([b"x" * 4999 + b"y"])
    store.spoil = lambda path, start, data: iter([next(wrong, data)])
    assert (held().folders["1"] / "model").read_bytes() == b"x" * 5000
    store = memory({"1/model": b"z" * 5000})
    store.sums["1/model"] = f"md5:{hashlib.md5(b'x' * 5000).hexdigest()}"
    with pytest.raises(ConfigError, match=r"model: its md5 is .*, its store says"):
        held()
    assert [start for _, start in store.asked] == [0, 0]


def test_more_than_was_said_never_serves(memory):
    store = memory({"1/model": b"x" * 5000})
    store.spoil = lambda path, start, data: iter([data, b"more"])
    with pytest.raises(ConfigError, match="more than the 5000 bytes"):
        held()


class NoCredentialsError(Exception):
    """As botocore calls it."""


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (FileNotFoundError("bucket/m"), Absent, "there is no such thing"),
        (PermissionError("Access Denied"), ConfigError, "no permission: .*Access Denied"),
        (
            NoCredentialsError("Unable to locate credentials"),
            ConfigError,
            "no credentials that are taken",
        ),
        (TimeoutError("timed out"), ConfigError, "its store can't be asked: TimeoutError"),
    ],
)
def test_why_a_store_says_nothing(memory, error, kind, said):
    store = memory(MODEL)

    def top():
        raise error

    store.top = top
    with pytest.raises(kind, match=f"storageUri 's3://bucket/m': {said}"):
        held()


class FileExpired(OSError):
    """As fsspec calls it: a range of what isn't there any more in the same content."""


def test_what_changes_while_it_is_fetched_is_asked_for_again(memory):
    store = memory({"1/model": b"x" * 5000})
    first = iter([True])

    def spoil(path, start, data):
        if next(first, False):
            yield data[:1000]
            store.files["1/model"] = b"y" * 6000
            raise FileExpired("another ETag")
        yield data

    store.spoil = spoil
    assert (held().folders["1"] / "model").read_bytes() == b"y" * 6000


def test_a_file_that_goes_while_it_is_fetched(memory):
    store = memory(MODEL)

    def gone(path, start, data):
        raise FileNotFoundError(path)
        yield

    store.spoil = gone
    with pytest.raises(
        Absent, match=r"model: there is no such thing|model.onnx: there is no such thing"
    ):
        held()


def test_a_full_disk_throws_away_what_nobody_uses_and_then_says_so(memory, monkeypatch):
    store = memory({"1/model": b"x" * 5000})

    def full(path, start, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield

    store.spoil = full
    with pytest.raises(Full, match="the disk of the cache of models is full: No space left on device"):
        held()


def test_a_disk_that_lacks_the_room_is_known_before(memory, monkeypatch):
    memory(MODEL)
    usage = lambda path: os.terminal_size((0, 0)) and type("Usage", (), {"free": 100})()  # noqa: E731
    monkeypatch.setattr(caches.shutil, "disk_usage", usage)
    with pytest.raises(
        Full, match=r"3.0 kB are needed in the cache of models, and the disk .* 100 bytes"
    ):
        held()


def test_progress_is_told(memory, monkeypatch):
    monkeypatch.setattr("serve_app.repository.progress.TOLD_S", 0)
    store = memory({"1/model": b"x" * 4_000_000})
    store.spoil = lambda path, start, data: iter([data[:1_200_000], data[1_200_000:]])
    said = []
    held(tell=said.append)
    assert "fetching 1.2 of 4.0 MB" in said
    assert said[-1] == "fetching 4.0 of 4.0 MB"


def test_it_can_be_given_up(memory):
    store = memory({"1/model": b"x" * 5000})
    stop = threading.Event()

    def spoil(path, start, data):
        yield data[:100]
        stop.set()
        yield data[100:]

    store.spoil = spoil
    with pytest.raises(GivenUp):
        held(stop=stop)
    assert (held().folders["1"] / "model").read_bytes() == b"x" * 5000
    assert store.asked[-1] == ("1/model", 100)  # what was there is gone on with


def test_files_are_private_and_read_only(memory, cache):
    memory(MODEL)
    folder = held().folders["2"]
    assert stat.S_IMODE((folder / "model.onnx").stat().st_mode) == 0o400
    (own,) = cache.iterdir()
    assert stat.S_IMODE(own.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//b", "x\0y", "a/./b", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(memory, name):
    memory({name: b"x", "ok": b"y"})
    with pytest.raises(ConfigError, match="a file can't be called"):
        held()


def test_a_file_in_the_place_of_a_folder_is_refused(memory):
    memory({"1/a": b"x", "1/a/b": b"y"})
    with pytest.raises(ConfigError, match="'a' is a file and a folder at once"):
        held()


def test_replicas_that_start_together_ask_once(memory, monkeypatch):
    store = memory(MODEL)
    first = held(asker="m")
    monkeypatch.setattr("serve_app.repository.fetching.store", None)  # whoever asks now fails
    second = held(asker="m")
    assert (second.folders, second.state) == (first.folders, first.state)
    for other in ({"asker": "changed"}, {}):
        with pytest.raises(TypeError):
            held(**other)
    with pytest.raises(TypeError):
        hold(URI, ["1"], asker="m")
    monkeypatch.setattr("serve_app.repository.fetching.store", store)
    store.files["3/model"] = b"x"
    monkeypatch.setattr("serve_app.repository.storage.FRESH_S", -1)
    assert list(held(asker="m").folders) == ["1", "2", "3"]


def test_a_store_that_is_down_takes_nothing_away_that_is_here(memory, monkeypatch, caplog):
    store = memory(MODEL)
    held(asker="m")
    monkeypatch.setattr("serve_app.repository.storage.FRESH_S", -1)

    def top():
        raise TimeoutError("timed out")

    store.top = top
    assert list(held(asker="m").folders) == ["1", "2"]
    assert "its store can't be asked: TimeoutError: timed out; what it had" in caplog.text
    with pytest.raises(ConfigError, match="can't be asked"):
        held(asker="another")
    with pytest.raises(ConfigError, match="can't be asked"):
        state(URI, "all")
    store.top = lambda: (_ for _ in ()).throw(FileNotFoundError("gone"))
    with pytest.raises(Absent):
        held(asker="m")


def test_an_extra_that_is_missing_is_named(cache, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(ConfigError, match=r"s3fs can't be imported .*pip install 'tandem-serve\[s3\]'"):
        hold(URI, "all")
