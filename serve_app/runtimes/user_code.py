"""The user's own modules: imported, and imported anew when their files changed."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import serve_app
from serve_app.errors import ConfigError
from serve_app.repository.stamps import Stamp, stamp
from serve_app.runtimes.python_imports import Imports, look_anew

_INSTALLED = {"site-packages", "dist-packages"}
_OURS = Path(serve_app.__file__).parent
_imports = Imports()
# By package, its modules, and which modules there were of all when they were looked for.
_known: dict[str, tuple[tuple[int, str, int, int], list[tuple[str, Path]]]] = {}
# By name, a module that was seen, and its file as it was then.
_seen: dict[str, tuple[ModuleType, Stamp]] = {}


def import_class(path: str) -> Any:
    """`package.module:ClassName`, as its files are now; ConfigError when it can't be had.

    Where they changed, the user's modules are imported anew; objects that there are keep the old ones.
    Any number of threads may ask.
    """
    with _imports.one():
        return _import_class(path)


def _import_class(path: str) -> Any:
    module, _, name = path.partition(":")
    look_anew()  # a package may have been installed since the last look
    old = _imports.between(partial(_forgotten, path)) if _look(path) else {}
    try:
        found = getattr(importlib.import_module(module), name)
    except BaseException as error:
        for each, (before, was) in old.items():
            sys.modules[each], _seen[each] = before, (before, was)
        if isinstance(error, ImportError | AttributeError | ValueError):
            raise ConfigError(
                f"class '{path}' can't be imported as package.module:ClassName: {error}"
            ) from error
        raise
    finally:
        _look(path)  # at those that came
    return found


def stamps(path: str) -> dict[str, Stamp]:
    """The files of the user's modules that were imported with the class, as they are now."""
    return {str(file): stamp(file) for _, file in _beside(path)}


def changed(before: Mapping[str, Stamp]) -> bool:
    """Whether one of these files isn't what it was."""
    return any(stamp(Path(file)) != was for file, was in before.items())


def _look(path: str) -> bool:
    """Note the modules that weren't seen before; whether the file of another one isn't what it was when
    that was seen first, whichever class it was for."""
    found = False
    for name, file in _beside(path):
        if (module := sys.modules.get(name)) is None:
            continue
        now, before = stamp(file), _seen.get(name)
        if before is None or before[0] is not module:
            _seen[name] = module, now
        elif before[1] != now:
            found = True
    return found


def _forgotten(path: str) -> dict[str, tuple[ModuleType, Stamp]]:
    if not _look(path):  # another thread has had it since
        return {}
    names = [name for name, _ in _beside(path) if name in sys.modules and name in _seen]
    return {name: (sys.modules.pop(name), _seen[name][1]) for name in names}


def _beside(path: str) -> list[tuple[str, Path]]:
    """The modules below the folder in which the import of the class begins, but for installed ones and
    ours; of a class that is installed, those of its package."""
    package = _package(path)
    # There are thousands of modules, and a model may be loaded many times a minute.
    names = list(sys.modules)
    last = names[-1]
    now = len(names), last, id(sys.modules.get(last)), id(sys.modules.get(package))
    known = _known.get(package)
    if known is None or known[0] != now:
        known = _known[package] = now, list(_below(package))
    return known[1]


def _package(path: str) -> str:
    return path.partition(":")[0].partition(".")[0]


def _below(package: str) -> Iterator[tuple[str, Path]]:
    root = _root(package)
    if root is None:
        return
    within, ours = os.path.join(root, ""), os.path.join(_OURS, "")
    for name, module in sys.modules.copy().items():
        # Of thousands of modules: no Path of each.
        place = getattr(module, "__file__", None)
        if not isinstance(place, str) or not place.startswith(within) or place.startswith(ours):
            continue
        installed = not _INSTALLED.isdisjoint(place.split(os.sep))
        if (name.partition(".")[0] == package or not installed) and name != "__main__":
            yield name, Path(place)


def _root(package: str) -> Path | None:
    module = sys.modules.get(package)
    if module is None:
        return _to_come(package)
    folders = list(getattr(module, "__path__", ()))
    file = _file(module)
    return Path(folders[0]).parent if folders else file.parent if file else None


def _to_come(package: str) -> Path | None:
    """Where one lies that wasn't imported yet: what it imports may be there, from before."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if folders:
        return Path(folders[0]).parent
    return Path(spec.origin).parent if spec.origin and spec.has_location else None


def _file(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if isinstance(name, str) else None
