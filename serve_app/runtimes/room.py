"""Whether a version fits into memory beside what serves, and what one took."""

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
# Of a machine's or container's memory: beyond that Ray ends processes (RAY_memory_usage_threshold).
_SHARE = 0.95
_TRIM_EVERY_S = 1.0


def free_memory() -> int:
    """Bytes that this process may still take, of the machine's memory and of its containers'."""
    machine = psutil.virtual_memory()
    rooms: list[int] = [machine.available - int((1 - _SHARE) * machine.total)]
    return max(0, min([*rooms, *_in_containers(CGROUPS, _own_cgroup())]))


def free_gpu() -> int | None:
    """The same of the GPU, as PyTorch sees it; None where nobody can say."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.mem_get_info()[0])


def _own_cgroup() -> str:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return "/"
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")


def _in_containers(root: Path, own: str) -> Iterator[int]:
    """What is free in each group around this process, by either version of cgroups."""
    folder = root / own.lstrip("/")
    if not folder.is_dir():
        folder = root  # a namespace of its own
    while True:
        yield from _in_group(folder, "memory.max", "memory.current", "inactive_file")
        if folder == root or root not in folder.parents:
            break
        folder = folder.parent
    files = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    yield from _in_group(root / "memory", *files)


def _in_group(folder: Path, most: str, used: str, inactive: str) -> Iterator[int]:
    """Nothing where there is no limit. Files that were read and can be read again take no room."""
    with contextlib.suppress(OSError, ValueError):
        limit = int((folder / most).read_text())  # "max" is none
        rows = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        again = next((int(count) for name, count in rows if name == inactive), 0)
        yield int(limit * _SHARE) - (int((folder / used).read_text()) - again)


@dataclass(slots=True)
class Took:
    """What a load took of memory, in bytes; 0 where others ran beside it."""

    memory: int = 0


class _Loads:
    """Those under way in this process, and how many there were."""

    def __init__(self) -> None:
        self.lock, self.now, self.begun, self.trimmed = threading.Lock(), 0, 0, 0.0


_LOADS = _Loads()


@contextlib.contextmanager
def measured() -> Iterator[Took]:
    """Around a load."""
    took, process, loads = Took(), psutil.Process(), _LOADS
    with loads.lock:
        alone = loads.now == 0
        loads.now, loads.begun = loads.now + 1, loads.begun + 1
        number = loads.begun
    before = process.memory_info().rss
    try:
        yield took
        if alone and number == loads.begun:
            took.memory = max(0, process.memory_info().rss - before)
    finally:
        with loads.lock:
            loads.now -= 1


def give_back() -> None:
    """What was freed goes back to the machine, which C's library would keep; now and then."""
    with _LOADS.lock:
        if time.monotonic() - _LOADS.trimmed < _TRIM_EVERY_S:
            return
        _LOADS.trimmed = time.monotonic()
    with contextlib.suppress(OSError, AttributeError):  # another library
        ctypes.CDLL(None).malloc_trim(0)


def size(number: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"
