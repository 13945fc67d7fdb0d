"""A store of the tests': in memory, and as bad as a test wants it."""

import threading
from collections.abc import Callable, Iterator

from serve_app.repository.addresses import Address
from serve_app.repository.manifests import Manifest, RemoteFile, manifest


class Memory:
    """`files` by path. `spoil(path, start, data)` gives what comes instead, or throws."""

    def __init__(self, files: dict[str, bytes], where: str = "s3://bucket/m") -> None:
        self.files, self.where = dict(files), where
        self.sums: dict[str, str] = {}
        self.spoil: Callable[[str, int, bytes], Iterator[bytes]] = lambda path, start, data: iter([data])
        self.asked: list[tuple[str, int]] = []

    def __call__(self, at: Address) -> "Memory":
        return self

    def top(self) -> tuple[list[str], bool]:
        folders = sorted({path.partition("/")[0] for path in self.files if "/" in path})
        return folders, any("/" not in path for path in self.files)

    def manifest(self, folder: str) -> Manifest:
        root = f"{folder}/" if folder else ""
        found = {p.removeprefix(root): d for p, d in self.files.items() if p.startswith(root)}
        if not found:
            raise FileNotFoundError(folder)
        files = [
            RemoteFile(path, len(data), str(hash(data)), self.sums.get(root + path, ""))
            for path, data in found.items()
        ]
        return manifest(self.where, folder, files)

    def told(self, file: RemoteFile, folder: str) -> str:
        return ""

    def read(self, file: RemoteFile, folder: str, start: int) -> Iterator[bytes]:
        path = f"{folder}/{file.path}" if folder else file.path
        self.asked.append((path, start))
        yield from self.spoil(path, start, self.files[path][start:])


class Troubled(Memory):
    """Throws `trouble` while there is some."""

    trouble: Exception | None = None
    looks = 0

    def top(self) -> tuple[list[str], bool]:
        self.looks += 1
        if self.trouble:
            raise self.trouble
        return super().top()

    def held(self) -> tuple[threading.Event, threading.Event]:
        """From now on a file comes no further: set when one was asked for, and to be set to go on."""
        came, go_on = threading.Event(), threading.Event()

        def spoil(path: str, start: int, data: bytes) -> Iterator[bytes]:
            came.set()
            assert go_on.wait(20)
            yield data

        self.spoil = spoil
        return came, go_on
