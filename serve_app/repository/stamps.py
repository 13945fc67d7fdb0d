"""What tells whether files are what they were, without reading them."""

import os
from collections.abc import Iterable
from pathlib import Path

APART_S = 2.0  # by which the clocks of two machines may differ
Stamp = tuple[int, int, int]  # size, time of the last change in nanoseconds, number on its disk


def stamp(file: Path) -> Stamp:
    """Another one when the file is changed or replaced; zeros when there is none."""
    try:
        about = file.stat()
    except OSError:
        return 0, 0, 0
    return about.st_size, about.st_mtime_ns, about.st_ino


def stamps_in(folders: Iterable[Path]) -> dict[str, Stamp]:
    """Of every file in these folders."""
    return {
        path: stamp(Path(path))
        for folder in folders
        for at, _, names in os.walk(folder)
        for path in (os.path.join(at, name) for name in names)
    }
