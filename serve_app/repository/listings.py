"""What a store said when it was asked last, for processes of the node that come a moment later."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from serve_app.config import Versions
from serve_app.repository.manifests import Manifest, RemoteFile

# Replicas that start together, or in the place of one that died, needn't ask, nor load what asks.
FRESH_S = 60.0
_KEPT_S = 30 * 24 * 3600.0


class Listing:
    """Of one address, one choice of versions, and one who asks: a model by its whole configuration,
    so that whatever is changed in that asks anew."""

    def __init__(self, root: Path, uri: str, policy: Versions, asker: str) -> None:
        said = json.dumps([uri, policy, asker], default=str).encode()
        self._file = root / "listings" / f"{hashlib.sha256(said).hexdigest()[:40]}.json"

    def read(self) -> tuple[Mapping[str, Manifest], float]:
        """By version, and how many seconds ago that was; nothing where nobody asked."""
        try:
            at, said = json.loads(self._file.read_bytes())
            found = {
                version: Manifest(where, folder, tuple(RemoteFile(*one) for one in files), host)
                for version, (where, folder, files, host) in said.items()
            }
            return found, abs(time.time() - at)
        except (OSError, ValueError, TypeError):
            return {}, 0.0

    def write(self, found: Mapping[str, Manifest], now: float) -> None:
        """Said when it was asked, at `now`."""
        said = {
            version: (
                one.where,
                one.folder,
                [(f.path, f.size, f.tag, f.checksum) for f in one.files],
                one.host,
            )
            for version, one in found.items()
        }
        with contextlib.suppress(OSError):  # a full disk: the next one asks
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            new = self._file.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
            new.write_text(json.dumps([now, said]))
            new.replace(self._file)
            for old in self._file.parent.iterdir():
                if time.time() - old.stat().st_mtime > _KEPT_S:
                    old.unlink()
