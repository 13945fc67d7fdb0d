"""Where documents come from: a file, a folder, a kustomization, the standard input."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError
from serve_app.tools.kube.documents import Document, read
from serve_app.tools.kube.kustomize import NAMES, build, parts

ENDS = (".yaml", ".yml", ".json")


def documents(path: Path, skipped: dict[Path, str] | None = None) -> Iterator[Document]:
    """Of a file, of a folder or its build, or, for `-`, of the standard input.

    A folder's files that can't be read are put into `skipped`, with the reason; ConfigError without it.
    """
    if str(path) == "-":
        yield from read(path, _standard_input())
    elif path.name in NAMES and path.is_file():
        yield from build(path.parent)
    elif not path.is_dir():
        yield from read(path)
    elif any((path / name).is_file() for name in NAMES):
        yield from build(path)
    else:
        for file in files(path):
            try:
                yield from read(file)
            except ConfigError as error:
                if skipped is None:
                    raise
                skipped[file] = str(error)


def _standard_input() -> str:
    """Its text, whatever encoding the terminal has. ConfigError when it is none."""
    given: Any = getattr(sys.stdin, "buffer", sys.stdin)
    data = given.read()
    try:
        return data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise ConfigError(f"-: not valid UTF-8: {error}") from None


def files(folder: Path) -> list[Path]:
    """A folder's YAML and JSON files, as `kubectl apply -f` takes them. ConfigError without any."""
    found = sorted(one for one in folder.iterdir() if one.suffix in ENDS and one.is_file())
    if not found:
        raise ConfigError(f"{folder}: no {', '.join(f'*{end}' for end in ENDS)} there")
    return found


def last_change(path: Path) -> float:
    """When the file, or anything that a kustomization is made of, was last written, as `time.time()`.

    0 while it can't be read, as between an editor's two steps. A file that is no YAML has changed too.
    """
    try:
        if not path.is_dir() and path.name not in NAMES:
            return path.stat().st_mtime
        found = {path, *parts(path if path.is_dir() else path.parent)}
        folders = {one if one.is_dir() else one.parent for one in found}
        found |= {file for folder in folders for file in folder.iterdir() if file.suffix in ENDS}
        return max(one.stat().st_mtime for one in found)
    except OSError:
        return 0
