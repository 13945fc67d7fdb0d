"""Folders that a program fills, and fills again only when the program has changed."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def once(target: Path, source: str, make: Callable[[Path], None]) -> bool:
    """Let `make(folder)` make what belongs in `target`; False when this very file `source` has done so.

    What else lies in `target` stays. Everything is made aside and renamed, and the mark set last: an
    interrupted build leaves nothing that looks finished.
    """
    stamp = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    marker = target / ".built"
    if marker.is_file() and marker.read_text() == stamp:
        return False
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as temporary:
        make(Path(temporary))
        marker.unlink(missing_ok=True)
        for made in Path(temporary).iterdir():
            shutil.rmtree(target / made.name, ignore_errors=True)
            made.rename(target / made.name)
    marker.write_text(stamp)
    return True
