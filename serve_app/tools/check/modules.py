"""Import paths into modules of the user's own: found and read as text, never imported."""

import ast
import importlib.machinery
import os
import symtable
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.config import meant
from serve_app.tools.check.paths import parts
from serve_app.tools.kube.findings import Place, Problem

# A runtime environment with one of these brings modules that aren't here.
_BRINGS = ("working_dir", "py_modules", "pip", "uv", "conda", "image_uri", "container")
_WHY = "the application fails at its start"
_SUFFIXES = tuple(importlib.machinery.SOURCE_SUFFIXES)


@dataclass(frozen=True)
class Where:
    """Where modules are looked for: where Python looks, the current folder, and what a config adds."""

    folders: tuple[str, ...]
    complete: bool  # else others may come with the runtime environment

    @classmethod
    def of(cls, *environments: Any) -> "Where":
        """With the runtime environments of an application and of a deployment."""
        given = [one for one in environments if isinstance(one, Mapping)]
        more: list[str] = []
        for one in given:
            variables = one.get("env_vars")
            text = variables.get("PYTHONPATH") if isinstance(variables, Mapping) else ""
            more += str(text or "").split(os.pathsep)
        folders = [str(Path(one)) for one in (*more, os.getcwd(), *sys.path) if one]
        brought = any(one.get(key) for one in given for key in _BRINGS)
        return cls(tuple(dict.fromkeys(folders)), not brought)


def import_path(path: Any, place: Place, where: Where) -> Iterator[Problem]:
    """Whether there is such a module, and such a name in it, as far as its text says."""
    if (named := parts(path)) is None:
        return  # said by whoever looks at its form
    module, name = named
    if "/" in module or module.endswith(".py"):
        better = f"{module.removesuffix('.py').strip('./').replace('/', '.')}:{name}"
        yield Problem(place, f"'{path}' has a file in place of a module; did you mean {better}?", _WHY)
        return
    if module.partition(".")[0] in ("ray", "serve_app"):
        return  # looked up by `ray_values`
    found = _origin(module, where)
    if isinstance(found, Problem):
        if where.complete:
            yield Problem(place, f"'{path}': {found.what}", _WHY, found.fix)
        return
    if found is None:
        return  # compiled, or made by an importer of its own
    try:
        text = found.read_bytes()
        names = _names(text, ast.parse(text))
    except (SyntaxError, ValueError) as error:
        at = getattr(error, "lineno", None) or 1
        yield Problem(place, f"'{path}': {found}:{at}: {getattr(error, 'msg', error)}", _WHY)
        return
    except OSError as error:
        yield Problem(place, f"'{path}': {found}: {error.strerror}", _WHY)
        return
    if names is not None and name.partition(".")[0] not in names:
        better = meant(name, [one for one in names if not one.startswith("_")])
        hint = f"; did you mean {module}:{better}?" if better else ""
        yield Problem(place, f"{found} has no '{name}'{hint}", _WHY)


def class_of(path: str, where: Where) -> ast.ClassDef | None:
    """The class as its module's text has it, which can be read; None where that can't be said."""
    module, _, name = path.partition(":")
    found = _origin(module, where)
    if not isinstance(found, Path):
        return None
    tree = ast.parse(found.read_bytes())
    classes = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name]
    return classes[-1] if classes else None


def _origin(module: str, where: Where) -> Path | Problem | None:
    """The file of a module, None where it isn't text, or what is missing."""
    folders, known = list(where.folders), ""
    steps = module.split(".")
    for index, part in enumerate(steps):
        try:
            spec = importlib.machinery.PathFinder.find_spec(part, folders)
        except (ImportError, ValueError):
            return None
        if spec is None and (index == 0 and part in sys.builtin_module_names):
            return None
        if spec is None:
            return _absent(part, known, folders, steps[index + 1 :])
        known = f"{known}.{part}" if known else part
        if index == len(steps) - 1:
            text = spec.origin and spec.origin.endswith(_SUFFIXES)
            return Path(spec.origin) if text and spec.origin else None
        if spec.submodule_search_locations is None:
            return Problem((), f"{known} is a module and no package")
        folders = list(spec.submodule_search_locations)
    return None


def _absent(part: str, package: str, folders: list[str], rest: list[str]) -> Problem:
    there = folders if package else [os.getcwd()]
    better = meant(part, (name for folder in there for name in _modules(Path(folder))))
    whole = ".".join(filter(None, (package, better, *rest)))
    hint = f"; did you mean {whole}?" if better else ""
    if package:
        return Problem((), f"the package {package} has no module '{part}'{hint}")
    what = f"no module '{part}' in {os.getcwd()} or among the packages of this Python"
    return Problem((), what + hint, fix="" if better else "put it there, into PYTHONPATH, or install it")


def _modules(folder: Path) -> Iterator[str]:
    try:
        for one in folder.iterdir():
            if one.suffix in _SUFFIXES or (one.is_dir() and any(one.glob("*.py"))):
                yield one.stem
    except OSError:
        return


def _names(text: bytes, tree: ast.Module) -> set[str] | None:
    """What a module defines at its top; None where that shows only when it runs."""
    table = symtable.symtable(text, "module", "exec")  # type: ignore[arg-type]
    known = {one.get_name(): one for one in table.get_symbols()}
    imports = (one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom))
    if known.keys() & {"__getattr__", "globals", "exec", "setattr", "vars"} or any(
        name.name == "*" for one in imports for name in one.names
    ):
        return None
    there = {name for name, one in known.items() if one.is_assigned() or one.is_imported()}
    return there | {"__name__", "__file__", "__doc__"}
