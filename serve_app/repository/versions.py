"""Version folders of a model: `<model>/<version>/…`, where a version is a positive integer."""

import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import TypeVar

from serve_app.config import Versions, newest, served
from serve_app.errors import ConfigError

T = TypeVar("T")
_VERSION = re.compile(r"[1-9][0-9]{0,18}")
_PICKLES = (".pkl", ".pickle", ".joblib", ".p")
# What people call a version's folder elsewhere.
_NEARLY = re.compile(
    r"(?:(?:v|ver|version|rev|release)[-_.]?)?0*([1-9][0-9]{0,18})(?:\.0)*", re.IGNORECASE
)


def version_folders(folder: Path, policy: Versions) -> dict[str, Path]:
    """The folders to load, oldest first. A folder without version folders is its own version 1, or
    the one that is asked for alone.

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
    entries = sorted(folder.iterdir())
    names = [one.name for one in entries if one.is_dir()]
    wanted, missing = chosen(names, any(one.is_file() for one in entries), policy, str(folder))
    folders = dict[str, Path]()
    for version, name in wanted.items():
        try:
            folders[version] = _inside(folder, folder / name) if name else folder
        except ConfigError as error:
            missing[version] = str(error)
    return folders, missing


def chosen(
    names: Iterable[str], files: bool, policy: Versions, where: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Of the folders in a model's folder those to load, by version, oldest first; '' is that folder
    itself. And why others that are asked for aren't among them.

    `files`: whether there are files beside them. ConfigError says what `where` lacks.
    """
    known = set(names)
    found = {name: name for name in known if _VERSION.fullmatch(name)}
    nearly = _nearly(known)
    if not found:
        if nearly and not files:
            raise ConfigError(f"{where}: {_rename(nearly)}")
        found = {policy[0] if isinstance(policy, list) and len(policy) == 1 else "1": ""}
    wanted = {version: found[version] for version in served(policy, found)}
    absent = [one for one in policy if one not in found] if isinstance(policy, list) else []
    if not absent and policy != []:
        return wanted, {}
    nearly = {name: number for name, number in nearly.items() if number in absent}
    reason = (
        f"versions: {', '.join(absent) or 'an empty list'} asked for, {where} holds "
        f"{', '.join(sorted(found, key=int))}" + (f"; {_rename(nearly)}" if nearly else "")
    )
    if not absent:
        raise ConfigError(reason)
    return wanted, dict.fromkeys(absent, reason)


def is_version(name: str) -> bool:
    """Whether a folder of that name is a version's."""
    return _VERSION.fullmatch(name) is not None


def candidates(
    folder: Path, policy: Versions
) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """As `select`; and between the two, where the newest so many are wanted, those that take the place
    of some that can't be loaded, newest first.
    """
    found, missing = select(folder, policy if newest(policy) is None else "all")
    return *apart(found, policy), missing


def apart(found: Mapping[str, T], policy: Versions) -> tuple[dict[str, T], dict[str, T]]:
    """Of all that can be had, those that are wanted, and those that may take a place of theirs."""
    most = newest(policy)
    wanted = dict(found) if most is None else dict(list(found.items())[-most:])
    return wanted, {one: found[one] for one in reversed(list(found)) if one not in wanted}


def misnamed(folder: Path) -> dict[str, str]:
    """Folders that aren't versions and look as if they were meant to be: `v2`, by the number."""
    return _nearly({one.name for one in folder.iterdir() if one.is_dir()})


def _nearly(names: Set[str]) -> dict[str, str]:
    found = {}
    for name in sorted(names):
        match = None if _VERSION.fullmatch(name) else _NEARLY.fullmatch(name)
        if match and match[1] not in names:
            found[name] = match[1]
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
