"""The node's cache: one download for all, its limit, and who dies in the middle."""

import asyncio
import json
import multiprocessing
import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.repository import cache as caches
from serve_app.repository import entries, rooms
from serve_app.repository.cache import NodeCache
from serve_app.repository.progress import Progress
from serve_app.repository.reasons import Full
from tests.unit.waiting import until

SPAWN = multiprocessing.get_context("spawn")


def key(name: str) -> str:
    return name.encode().hex().ljust(40, "0")


class Maker:
    """Makes entries of `size` bytes, slowly when a test says so."""

    def __init__(self, size: int = 100, data: bytes = b"x") -> None:
        self.size, self.data, self.made = size, data, 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, work):
        self.made += 1
        work.reserve(self.size)
        (work.folder / "model").unlink(missing_ok=True)
        (work.folder / "model").write_bytes(self.data * self.size)
        self.go.wait()
        return {"model": entries.sha256_of(work.folder / "model")}


def get(cache, name, make):
    return cache.entry(key(name), name, make, Progress(name), threading.Event())


@pytest.fixture
def root(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def on_disk(root: Path) -> int:
    return sum(file.stat().st_size for file in root.rglob("model"))


def test_many_threads_one_download(root):
    make, found = Maker(), []
    make.go.clear()
    threads = [
        threading.Thread(target=lambda: found.append(get(NodeCache(root), "a", make))) for _ in range(8)
    ]
    for one in threads:
        one.start()
    time.sleep(0.2)
    make.go.set()
    for one in threads:
        one.join()
    assert make.made == 1
    assert {(one.folder / "model").read_bytes() for one in found} == {b"x" * 100}


def test_who_waits_for_long_doesnt_take_what_is_just_published_for_broken(root, monkeypatch):
    monkeypatch.setattr(caches, "_BROKEN_S", 0)
    for number in range(20):
        make, found = Maker(), []
        make.go.clear()

        def ask(number=number, make=make, found=found):
            found.append(get(NodeCache(root), str(number), make))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for one in threads:
            one.start()
        make.go.set()
        for one in threads:
            one.join()
        assert len(found) == 4


def fetch_and_hang(root):
    def make(work):
        work.reserve(100)
        (work.folder / "model").write_bytes(b"half")
        time.sleep(60)

    get(NodeCache(Path(root)), "a", make)


async def test_who_dies_holds_nobody_up_and_leaves_what_it_had(root):
    process = SPAWN.Process(target=fetch_and_hang, args=(str(root),))
    process.start()
    half = root / "partial" / key("a") / "files" / "model"
    await until(half.exists)
    seen = []

    def make(work):
        seen.append((work.folder / "model").read_bytes())
        return Maker()(work)

    waits = threading.Thread(target=lambda: seen.append(get(NodeCache(root), "a", make)))
    waits.start()
    await asyncio.sleep(0.2)
    assert not seen
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    waits.join()
    assert seen[0] == b"half"
    assert (seen[1].folder / "model").read_bytes() == b"x" * 100


def test_the_limit_holds_and_who_was_used_last_stays(root):
    cache, make = NodeCache(root, 250), Maker()
    for name in "ab":
        get(cache, name, make).release()
        time.sleep(0.01)
    get(cache, "a", make).release()
    time.sleep(0.01)
    get(cache, "c", make).release()
    assert on_disk(root) == 200
    assert make.made == 3
    get(cache, "a", make).release()
    assert make.made == 3  # b went
    get(cache, "b", make)
    assert make.made == 4


def test_what_is_in_use_is_never_thrown_away(root):
    cache, make = NodeCache(root, 250), Maker()
    used = [get(cache, name, make) for name in "ab"]
    with pytest.raises(Full, match=r"100 bytes are needed .* holds 250 bytes .* lacks 50 bytes"):
        get(cache, "c", make)
    assert not list((root / "partial").iterdir())
    assert all((one.folder / "model").exists() for one in used)
    used[0].release()
    get(cache, "c", make)
    assert on_disk(root) == 200


def test_what_somebody_left_half_fetched_goes_too(root):
    cache = NodeCache(root, 250)

    def dies(work):
        Maker(200)(work)
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        get(cache, "a", dies)
    assert on_disk(root) == 200
    get(cache, "b", Maker())
    assert on_disk(root) == 100


def test_what_nobody_used_for_a_month_goes(root):
    cache, make = NodeCache(root), Maker()
    for name in "abc":
        entry = get(cache, name, make)
        os.utime(entry.folder.parent, (0, 0))
        if name != "b":
            entry.release()
    get(cache, "d", make)
    assert {at.name for at in (root / "entries").iterdir()} == {key("b"), key("d")}


def test_one_that_is_too_large_throws_nothing_away(root):
    cache, make = NodeCache(root, 250), Maker()
    get(cache, "a", make).release()
    with pytest.raises(Full):
        get(cache, "b", Maker(300))
    get(cache, "a", make)
    assert make.made == 1


def test_a_file_that_was_changed_is_fetched_anew(root):
    cache, make = NodeCache(root), Maker()
    file = get(cache, "a", make).folder / "model"
    get(cache, "a", make)
    assert make.made == 1
    cache = NodeCache(root)  # as another process, whose forerunners have ended
    about = file.stat()
    file.chmod(0o600)
    file.write_bytes(b"y" + b"x" * 99)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))  # whoever changed it hides it
    with pytest.raises(ConfigError, match="were changed, while other processes use them"):
        get_within(cache, make)


def get_within(cache, make):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(caches, "_BROKEN_S", 0.05)
        return get(cache, "a", make)


@pytest.mark.parametrize("what", ["changed", "removed", "cut", "entry"])
def test_whatever_became_of_it_it_is_whole_again(root, what):
    cache, make = NodeCache(root), Maker()
    entry = get(cache, "a", make)
    entry.release()
    file = entry.folder / "model"
    file.chmod(0o600)
    if what == "changed":
        file.write_bytes(b"y" * 100)
    elif what == "removed":
        file.unlink()
    elif what == "cut":
        os.truncate(file, 10)
    else:
        (entry.folder.parent / entries.ABOUT).write_text("{")
    found = get(cache, "a", make)
    assert (found.folder / "model").read_bytes() == b"x" * 100
    assert make.made == 2


def test_after_a_start_of_the_machine_the_files_are_read_once(root, monkeypatch):
    cache, make, read = NodeCache(root), Maker(), []
    get(cache, "a", make).release()
    real = entries.sha256_of
    monkeypatch.setattr(entries, "boot", lambda: "another")
    monkeypatch.setattr(entries, "sha256_of", lambda file: read.append(file) or real(file))
    for _ in range(3):
        get(cache, "a", make).release()
    assert (make.made, len(read)) == (1, 1)


def test_what_lies_in_memory_when_the_machine_goes_down_may_be_lost(root, monkeypatch):
    """Of the right size and with the right times, and full of zeros: as disks leave them."""
    cache, make = NodeCache(root), Maker()
    entry = get(cache, "a", make)
    entry.release()
    file = entry.folder / "model"
    file.chmod(0o600)
    file.write_bytes(bytes(100))
    about = json.loads((entry.folder.parent / entries.ABOUT).read_text())
    about["files"]["model"][1] = entries.mark(file)
    (entry.folder.parent / entries.ABOUT).write_text(json.dumps(about))
    monkeypatch.setattr(entries, "boot", lambda: "another")
    assert (get(cache, "a", make).folder / "model").read_bytes() == b"x" * 100


def test_locks_of_what_is_gone_are_gone(root):
    cache = NodeCache(root, 150)
    for name in "abcdef":
        get(cache, name, Maker()).release()
    assert len(list((root / "locks").iterdir())) == 1
    assert not list((root / "gone").iterdir())


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", None),
        ("1000", 1000),
        ("2k", 2000),
        ("1.5Gi", 3 * 2**29),
        ("50GB", 50 * 10**9),
        ("1 TiB", 2**40),
    ],
)
def test_limits(monkeypatch, text, limit):
    monkeypatch.setenv(rooms.LIMIT_VARIABLE, text)
    assert rooms.limit() == limit


@pytest.mark.parametrize("text", ["much", "-1", "5 apples", "Gi"])
def test_what_is_no_limit(monkeypatch, text):
    monkeypatch.setenv(rooms.LIMIT_VARIABLE, text)
    with pytest.raises(ConfigError, match="TANDEM_CACHE_LIMIT: a number of bytes is wanted, as 200Gi"):
        rooms.limit()


def test_where_it_is(tmp_path, monkeypatch):
    monkeypatch.delenv("TANDEM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    at = rooms.folder()
    assert at.parent == tmp_path / "tandem"
    assert stat.S_IMODE(at.stat().st_mode) == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # a container's, which is nobody's
    monkeypatch.setattr(rooms.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    assert rooms.folder().parent == tmp_path / "tmp"
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "mine"))
    rooms.folder().chmod(0o755)
    with pytest.raises(ConfigError, match=r"TANDEM_CACHE.*open to others, or another's"):
        rooms.folder()
