"""Room for a version beside what serves: by the machine, its containers and the version's files."""

import sys
from types import SimpleNamespace

import psutil
import pytest

from serve_app.errors import ConfigError
from serve_app.runtimes import one_version, room
from tests.unit.runtimes.test_versions_apart import host, write

GIB = 2**30


def group(folder, most: object, used: int, inactive: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - inactive}\ninactive_file {inactive}\n")


def test_the_tightest_group_around_a_process_counts(tmp_path):
    """Formats: https://docs.kernel.org/admin-guide/cgroup-v2.html, "Memory Interface Files"."""
    group(tmp_path / "pod" / "container", "max", 3 * GIB)
    group(tmp_path / "pod", 10 * GIB, 4 * GIB, inactive=GIB)
    found = list(room._in_containers(tmp_path, "/pod/container"))
    assert found == [int(9.5 * GIB) - 3 * GIB]
    group(tmp_path / "pod" / "container", 5 * GIB, 3 * GIB)
    assert min(room._in_containers(tmp_path, "/pod/container")) == int(4.75 * GIB) - 3 * GIB


def test_a_namespace_of_its_own_and_groups_of_before(tmp_path):
    group(tmp_path, 2 * GIB, GIB)
    assert list(room._in_containers(tmp_path, "/kubepods/pod1")) == [int(1.9 * GIB) - GIB]
    old = tmp_path / "memory"
    old.mkdir()
    (old / "memory.limit_in_bytes").write_text(f"{4 * GIB}")
    (old / "memory.usage_in_bytes").write_text(f"{2 * GIB}")
    (old / "memory.stat").write_text(f"cache 5\ntotal_inactive_file {GIB}\n")
    assert list(room._in_containers(tmp_path, "/"))[-1] == int(3.8 * GIB) - GIB


def test_without_any_limit_it_is_the_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CGROUPS", tmp_path)
    assert 0 < room.free_memory() < psutil.virtual_memory().total


def test_what_a_load_took_where_it_was_alone():
    with room.measured() as took:
        held = bytes(64 * 2**20).replace(b"\0", b"\1")  # touched, or it takes nothing
    assert 48 * 2**20 < took.memory < 256 * 2**20
    with room.measured() as outer, room.measured() as inner:
        pass
    assert (outer.memory, inner.memory) == (0, 0)
    del held


def test_the_gpu_is_asked_where_there_is_one(monkeypatch):
    about = SimpleNamespace(is_available=lambda: True, mem_get_info=lambda: (7 * GIB, 80 * GIB))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=about))
    assert room.free_gpu() == 7 * GIB
    about.is_available = lambda: False
    assert room.free_gpu() is None


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12 bytes"), (3 * 2**20, "3 MiB"), (4.25 * GIB, "4.25 GiB")]
)
def test_sizes(number, text):
    assert room.size(number) == text


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "1", "10")
    return tmp_path


async def test_no_room_for_two_is_said_before_anything_is_dropped(folder, monkeypatch):
    old = host(folder)
    monkeypatch.setattr(old._held["1"], "memory", 4 * GIB)
    monkeypatch.setattr(one_version, "free_memory", lambda: 2 * GIB)
    write(folder, "1", "11")
    new = host(folder, old, load=False)
    with pytest.raises(
        ConfigError,
        match=r"model 'm' version 1: no room beside what serves: it takes about 4 GiB of memory, "
        r"2 GiB are free; `swap: replace` drops the version of before first",
    ):
        new.load()
    new.close(keep=old)
    assert (await old.predict("1", {"x": __import__("numpy").ones((1, 2))}, {}))["y"][0, 0] == 10
    old.close()


async def test_files_say_how_much_a_frameworks_version_takes(folder, monkeypatch):
    """A class may read what it likes of its folder: there only the one of before counts."""
    (folder / "1" / "deeper").mkdir()
    for place, size in (("model.onnx", 3 * GIB), ("deeper/model.onnx.data", GIB)):
        with (folder / "1" / place).open("wb") as file:
            file.truncate(size)
    assert one_version.needed("onnx", folder / "1", 0) == 4 * GIB + 2
    assert one_version.needed("onnx", folder / "1", 5 * GIB) == 5 * GIB
    assert one_version.needed("python", folder / "1", 0) == 0
    assert one_version.needed("python", None, GIB) == GIB


async def test_the_first_version_is_loaded_without_asking(folder, monkeypatch):
    monkeypatch.setattr(one_version, "free_memory", lambda: 0)
    made = host(folder)
    assert made.loaded == ["1"]
    made.close()


async def test_no_room_on_the_gpu(monkeypatch):
    monkeypatch.setattr(one_version, "free_memory", lambda: 9 * GIB)
    monkeypatch.setattr(one_version, "free_gpu", lambda: 2 * GIB)
    one_version.check_room(GIB, gpu=True)
    one_version.check_room(3 * GIB, gpu=False)
    with pytest.raises(ConfigError, match="it takes about 3 GiB of the GPU's memory, 2 GiB are free"):
        one_version.check_room(3 * GIB, gpu=True)
