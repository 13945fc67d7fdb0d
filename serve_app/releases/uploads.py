"""Files that came with a load: as one piece of bytes by its digest, and as a model's folder."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Container, Mapping
from pathlib import Path

from serve_app.errors import ConfigError
from serve_app.private import private

_LENGTH = 8  # bytes before the table of contents
_UNUSED_S = 3600  # of a folder that nothing needs: it may be another Router's, about to load it


def packed(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Digest and bytes of all of them."""
    table = json.dumps({path: len(files[path]) for path in sorted(files)}).encode()
    whole = b"".join(
        [len(table).to_bytes(_LENGTH, "big"), table, *(files[path] for path in sorted(files))]
    )
    return hashlib.sha256(whole).hexdigest(), whole


def unpacked(digest: str, whole: bytes) -> dict[str, bytes]:
    """The files; ConfigError where these aren't the bytes of that digest."""
    if hashlib.sha256(whole).hexdigest() != digest:
        raise ConfigError(f"the files of upload {digest[:12]} aren't those that came")
    start = _LENGTH + int.from_bytes(whole[:_LENGTH], "big")
    files = {}
    for path, size in json.loads(whole[_LENGTH:start]).items():
        files[path], start = whole[start : start + size], start + size
    return files


class Published:
    """Uploads as folders of this machine, below one that is its user's alone."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or Path(tempfile.gettempdir()) / f"tandem-uploads-{os.getuid()}"

    def folder(self, digest: str) -> str:
        """Of an upload that is here; ConfigError for one that isn't."""
        if not self.has(digest):
            raise ConfigError(f"the files of upload {digest[:12]} aren't here")
        return str(self.root / digest)

    def has(self, digest: str) -> bool:
        """Whether it is here, whole, and put here by this user."""
        try:
            return private(self.root) and (self.root / digest).is_dir()
        except OSError:
            return False

    def publish(self, digest: str, whole: bytes) -> None:
        """Put it here, all at once."""
        files = unpacked(digest, whole)
        try:
            ours = private(self.root)
        except OSError as error:
            raise ConfigError(f"upload {digest[:12]} can't be written: {error}") from None
        if not ours:
            raise ConfigError(f"{self.root} is another user's, or open to others")
        made = Path(tempfile.mkdtemp(dir=self.root, prefix="."))
        try:
            for path, content in files.items():
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            os.replace(made, self.root / digest)
        except OSError as error:
            shutil.rmtree(made, ignore_errors=True)
            if not self.has(digest):  # else another Router of this machine was first
                raise ConfigError(f"upload {digest[:12]} can't be written: {error}") from None

    def prune(self, needed: Container[str]) -> None:
        """Remove those that nothing has needed for a while."""
        if not self.root.is_dir():
            return
        for path in self.root.iterdir():
            age = time.time() - path.stat().st_mtime
            if path.name not in needed and age > _UNUSED_S:
                shutil.rmtree(path, ignore_errors=True)
