"""Faults by the hundred, against a real store's server: what is loaded is right, or nothing is."""

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.storage.server import Store
from loadtests.storage.workers import Outcome, Worker, any_done

SHARES = {"cut": 24, "flip": 24, "disk": 12, "kill": 16, "eight": 8, "eight, one killed": 8, "rot": 8}
_FILES = (("weights", 200_000, 700_000), ("more/weights", 50_000, 300_000), ("config.json", 10, 2_000))
LIMIT = 4_000_000
_LOOK_S = 0.02


@dataclass
class Figures:
    """What came of it, by kind of fault."""

    trials: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    twice: Counter[str] = field(default_factory=Counter)  # downloads beyond the first, of eight
    wrong: list[str] = field(default_factory=list)
    most: int = 0  # bytes in the cache at any look
    seconds: float = 0.0


class Campaign:
    """`count` faults, in the folder of a cache of their own."""

    def __init__(self, store: Store, cache: Path, seed: int) -> None:
        self.store, self.cache, self.figures = store, cache, Figures()
        self._random = random.Random(seed)
        self._env = {**store.env, "TANDEM_CACHE": str(cache), "TANDEM_CACHE_LIMIT": str(LIMIT)}
        self._sums: dict[str, str] = {}
        self._size, self._largest = 0, 0

    def run(self, count: int, tell: Callable[[str], None]) -> Figures:
        """All of them, in an order of chance."""
        began = time.monotonic()
        kinds = [kind for kind, share in SHARES.items() for _ in range(share * count // 100)]
        kinds += ["cut"] * (count - len(kinds))
        self._random.shuffle(kinds)
        steps = {
            "cut": self._cut, "flip": self._flip, "disk": self._disk, "kill": self._kill,
            "eight": self._eight, "eight, one killed": self._one_killed, "rot": self._rot,
        }  # fmt: skip
        for number, kind in enumerate(kinds, 1):
            uri = self._model(number)
            self.store.spoil([], [])
            steps[kind](kind, uri)
            self.figures.trials[kind] += 1
            if number % 25 == 0:
                tell(f"{number} of {count}, {len(self.figures.wrong)} wrong")
            self.figures.seconds = time.monotonic() - began
        return self.figures

    def _model(self, number: int) -> str:
        """Another one in the bucket."""
        self._sums, self._size, self._largest = {}, 0, 0
        for name, least, most in _FILES:
            data = self._random.randbytes(self._random.randint(least, most))
            self._sums[name] = hashlib.sha256(data).hexdigest()
            self._size += len(data)
            self._largest = max(self._largest, len(data))
            self.store.put(f"m{number}/1/{name}", data)
        return self.store.uri(f"m{number}")

    def _load(self, uri: str, largest: int = 0) -> Outcome:
        return self._done([Worker(uri, self._env, largest)])[0]

    def _done(self, workers: list[Worker]) -> list[Outcome]:
        """Their outcomes; the cache is looked at all the while."""
        while not any_done(workers, _LOOK_S):
            self._look()
        found = [one.outcome() for one in workers]
        self._look()
        return found

    def _look(self) -> None:
        total = 0
        for kind in ("entries", "partial"):
            for at, _, names in os.walk(next(self.cache.glob("v1-*"), self.cache) / kind):
                for name in names:
                    if name not in ("entry.json", "reserved"):
                        try:
                            total += os.lstat(os.path.join(at, name)).st_size
                        except OSError:
                            continue
        self.figures.most = max(self.figures.most, total)

    def _judge(self, kind: str, one: Outcome, may_refuse: str = "", must: bool = False) -> bool:
        """Whether it was loaded; neither right nor refused for its reason is wrong."""
        if one.sums == self._sums and not must:
            self.figures.right[kind] += 1
            return True
        if one.refused and may_refuse and may_refuse in one.refused:
            self.figures.refused[kind] += 1
            return False
        self.figures.wrong.append(f"{kind}: {one.refused or one.sums or 'no answer'}")
        return False

    def _cut(self, kind: str, uri: str) -> None:
        at = sorted(self._random.randrange(self._size) for _ in range(self._random.randint(1, 4)))
        self.store.spoil(at, [])
        self._judge(kind, self._load(uri))

    def _flip(self, kind: str, uri: str) -> None:
        at = sorted(self._random.randrange(self._size) for _ in range(self._random.randint(1, 3)))
        self.store.spoil([], at)
        if not self._judge(kind, self._load(uri), "its store says"):
            self.store.spoil([], [])
            self._judge(kind, self._load(uri))

    def _disk(self, kind: str, uri: str) -> None:
        full = self._random.randrange(1, self._largest)
        self._judge(kind, self._load(uri, full), "the disk of the cache of models is full", must=True)
        self._judge(kind, self._load(uri))

    def _kill(self, kind: str, uri: str) -> None:
        worker = Worker(uri, self._env)
        self._kill_at(worker, self._random.randrange(self._size))
        killed = self._done([worker])[0]
        found = self._load(uri)
        self._judge(kind, found)
        lost = killed.fetched + found.fetched
        if killed.sums and lost > self._size:  # it had published, and all came again
            self.figures.twice[kind] += 1

    def _kill_at(self, worker: Worker, sent: int) -> None:
        end = time.monotonic() + 10
        while self.store.sent < sent and time.monotonic() < end and not any_done([worker], 0):
            self._look()
        worker.kill()

    def _eight(self, kind: str, uri: str) -> None:
        found = self._done([Worker(uri, self._env) for _ in range(8)])
        for one in found:
            self._judge(kind, one)
        if sum(one.fetched for one in found) != self._size:
            self.figures.twice[kind] += 1

    def _one_killed(self, kind: str, uri: str) -> None:
        workers = [Worker(uri, self._env) for _ in range(8)]
        victim = self._random.choice(workers)
        self._kill_at(victim, self._random.randrange(self._size))
        workers.remove(victim)
        victim.outcome()
        found = self._done(workers)
        for one in found:
            self._judge(kind, one)
        if sum(one.fetched for one in found) > self._size:
            self.figures.twice[kind] += 1

    def _rot(self, kind: str, uri: str) -> None:
        """A byte of the cache's own file, by one who puts its times back."""
        self._judge(kind, self._load(uri))
        newest = max(self.cache.glob("v1-*/entries/*"), key=lambda at: at.stat().st_mtime_ns)
        file = newest / "files" / "weights"
        about = file.stat()
        file.chmod(0o600)
        with file.open("r+b") as opened:
            opened.seek(self._random.randrange(about.st_size))
            byte = opened.read(1)
            opened.seek(-1, os.SEEK_CUR)
            opened.write(bytes([byte[0] ^ 1]))
        os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
        self._judge(kind, self._load(uri))
