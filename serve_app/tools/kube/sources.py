"""Where documents come from: a file, a folder, a kustomization, the standard input."""

import sys
from collections.abc import Iterator
from pathlib import Path

from serve_app.errors import ConfigError
from serve_app.tools.kube.documents import Document, read
from serve_app.tools.kube.kustomize import NAMES, build


def documents(path: Path) -> Iterator[Document]:
    """Of a file, of a folder or its build, or, for `-`, of the standard input."""
    if str(path) == "-":
        yield from read(path, sys.stdin.read())
    elif not path.is_dir():
        yield from read(path)
    elif any((path / name).is_file() for name in NAMES):
        yield from build(path)
    else:
        files = sorted(path.glob("*.yaml"))
        if not files:
            raise ConfigError(f"{path}: no *.yaml there")
        for file in files:
            yield from read(file)


def last_change(path: Path) -> float:
    """When the file, or anything that a kustomization is made of, was last written, as `time.time()`.

    0 while it can't be read, as between an editor's two steps.
    """
    try:
        files = {path, *(Path(one.report.file) for one in documents(path))} if path.is_dir() else {path}
        folders = {file.parent if file.is_file() else file for file in files} if path.is_dir() else set()
        files |= {file for folder in folders for file in folder.glob("*.yaml")}
        return max(file.stat().st_mtime for file in files)
    except (OSError, ConfigError):
        return 0
