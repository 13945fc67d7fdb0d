"""Version folders of a model: `<model>/<version>/…`, where a version is a positive integer."""

import re
from pathlib import Path
from typing import Literal

from serve_app.errors import ConfigError

_VERSION = re.compile(r"[1-9][0-9]{0,18}")


def version_folders(folder: Path, policy: Literal["all", "latest"] | list[str]) -> dict[str, Path]:
    """The folders to load, oldest first. A folder without version folders is its own version 1."""
    found = {
        entry.name: _inside(folder, entry)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and _VERSION.fullmatch(entry.name)
    }
    if not found:
        found = {"1": folder}
    ordered = dict(sorted(found.items(), key=lambda item: int(item[0])))
    if policy == "all":
        return ordered
    if policy == "latest":
        newest = list(ordered)[-1]
        return {newest: ordered[newest]}
    missing = [version for version in policy if version not in ordered]
    if missing or not policy:
        raise ConfigError(
            f"versions: {', '.join(missing) or 'an empty list'} asked for, "
            f"{folder} holds {', '.join(ordered)}"
        )
    return {version: path for version, path in ordered.items() if version in policy}


def _inside(folder: Path, entry: Path) -> Path:
    resolved = entry.resolve()
    if not resolved.is_relative_to(folder.resolve()):
        raise ConfigError(f"{entry} leads out of its model's folder, to {resolved}")
    return resolved


def only_file(folder: Path, *names: str) -> Path:
    """The one of `names` that lies in `folder`, without leaving it through a link."""
    present = [folder / name for name in names if (folder / name).is_file()]
    if len(present) != 1:
        raise ConfigError(
            f"{folder}: expected exactly one of {', '.join(names)}, "
            f"found {', '.join(path.name for path in present) or 'none'}"
        )
    return _inside(folder, present[0])
