"""How many bytes a node's cache may hold, and where it is."""

import os
import re
import tempfile
from pathlib import Path

from serve_app.errors import ConfigError
from serve_app.private import private

FOLDER_VARIABLE = "TANDEM_CACHE"
LIMIT_VARIABLE = "TANDEM_CACHE_LIMIT"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def limit() -> int | None:
    """Bytes; None where nothing is said, and the disk is the limit."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return None
    found = _LIMIT.fullmatch(text)
    if not found:
        raise ConfigError(
            f"{LIMIT_VARIABLE}: a number of bytes is wanted, as 200Gi or 50GB, not '{text}'"
        )
    number, unit, binary = found.groups()
    power = _UNITS[unit.lower()]
    if binary:
        power = 1024 ** list(_UNITS).index(unit.lower())
    return int(float(number) * power)


def folder() -> Path:
    """Made, and this user's alone; ConfigError where that can't be."""
    tried = []
    for root in _candidates():
        try:
            if private(root):
                return root
        except OSError as error:
            tried.append(f"{error.strerror}: {error.filename or root}")
            continue
        tried.append(f"{root} is open to others, or another's")
    raise ConfigError(f"no folder for the cache of models ({FOLDER_VARIABLE}): {'; '.join(tried)}")


def _candidates() -> list[Path]:
    own = f"v1-{os.geteuid()}"  # another version of the layout, another user: apart
    if said := os.environ.get(FOLDER_VARIABLE):
        return [Path(said).absolute() / own]
    users = os.environ.get("XDG_CACHE_HOME") or str(
        Path(os.environ.get("HOME") or "/nowhere") / ".cache"
    )
    # A container's home may be read-only, or nobody's.
    return [Path(users) / "tandem" / own, Path(tempfile.gettempdir()) / f"tandem-cache-{own}"]
