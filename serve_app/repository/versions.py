"""Version folders of a model: `<model>/<version>/…`, where a version is a positive integer."""

import re
from collections.abc import Mapping
from pathlib import Path

from serve_app.config import Versions, newest, served
from serve_app.errors import ConfigError

_VERSION = re.compile(r"[1-9][0-9]{0,18}")
_PICKLES = (".pkl", ".pickle", ".joblib", ".p")
# What people call a version's folder elsewhere.
_NEARLY = re.compile(
    r"(?:(?:v|ver|version|rev|release)[-_.]?)?0*([1-9][0-9]{0,18})(?:\.0)*", re.IGNORECASE
)


def version_folders(folder: Path, policy: Versions) -> dict[str, Path]:
    """The folders to load, oldest first. A folder without version folders is its own version 1.

    ConfigError where one that is asked for can't be had.
    """
    found, missing = select(folder, policy)
    for reason in missing.values():
        raise ConfigError(reason)
    return found


def select(folder: Path, policy: Versions) -> tuple[dict[str, Path], dict[str, str]]:
    """The same, and why those that are asked for and can't be had aren't among them.

    ConfigError where that says nothing of one version alone.
    """
    found = {
        entry.name: entry
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and _VERSION.fullmatch(entry.name)
    }
    if not found:
        if (nearly := misnamed(folder)) and not any(entry.is_file() for entry in folder.iterdir()):
            raise ConfigError(f"{folder}: {_rename(nearly)}")
        found = {"1": folder}
    folders, missing = dict[str, Path](), dict[str, str]()
    for version in served(policy, found):
        try:
            folders[version] = _inside(folder, found[version])
        except ConfigError as error:
            missing[version] = str(error)
    if isinstance(policy, list):
        absent = [version for version in policy if version not in found]
        if absent or not policy:
            nearly = {name: number for name, number in misnamed(folder).items() if number in absent}
            reason = (
                f"versions: {', '.join(absent) or 'an empty list'} asked for, {folder} holds "
                f"{', '.join(sorted(found, key=int))}" + (f"; {_rename(nearly)}" if nearly else "")
            )
            if not policy:
                raise ConfigError(reason)
            missing |= dict.fromkeys(absent, reason)
    return folders, missing


def candidates(
    folder: Path, policy: Versions
) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """As `select`; and between the two, where the newest so many are wanted, those that take the place
    of some that can't be loaded, newest first.
    """
    most = newest(policy)
    if most is None:
        found, missing = select(folder, policy)
        return found, {}, missing
    found, missing = select(folder, "all")
    wanted = dict(list(found.items())[-most:])
    return wanted, {one: found[one] for one in reversed(found) if one not in wanted}, missing


def misnamed(folder: Path) -> dict[str, str]:
    """Folders that aren't versions and look as if they were meant to be: `v2`, by the number."""
    found = {}
    for entry in sorted(folder.iterdir()):
        if not _VERSION.fullmatch(entry.name) and entry.is_dir():
            match = _NEARLY.fullmatch(entry.name)
            if match and not (folder / match[1]).exists():
                found[entry.name] = match[1]
    return found


def _rename(nearly: Mapping[str, str]) -> str:
    first, number = next(iter(nearly.items()))
    return (
        f"{', '.join(nearly)} {'is no version' if len(nearly) == 1 else 'are no versions'}: a version's "
        f"folder is a positive integer, so rename {first} to {number}"
    )


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
            f"found {', '.join(path.name for path in present) or _instead(folder, names)}"
        )
    return _inside(folder, present[0])


def _instead(folder: Path, names: tuple[str, ...]) -> str:
    """What lies there, where none of `names` does, and what may have been meant."""
    entries = sorted(folder.iterdir())
    if not entries:
        return "none: the folder is empty"
    held = ", ".join(f"{one.name}/" if one.is_dir() else one.name for one in entries[:8])
    more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
    if nearly := misnamed(folder):
        return f"none: it holds {held}{more}; {_rename(nearly)}"
    for name in names:
        alike = [one.name for one in entries if one.is_file() and one.suffix == Path(name).suffix]
        if len(alike) == 1:
            return f"none: it holds {held}{more}; rename {alike[0]} to {name}"
    if pickled := next((one.name for one in entries if one.suffix in _PICKLES), ""):
        return (
            f"none: it holds {held}{more}; {pickled} is a pickle, which is not loaded: export the model"
        )
    if all(one.is_dir() for one in entries):
        return f"none: it holds {held}{more}; a version's folder is a positive integer, such as 1"
    return f"none: it holds {held}{more}"
