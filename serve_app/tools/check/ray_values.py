"""Parts of a Serve config or of a RayJob as the installed Ray makes something of them.

Nothing of the user's is imported: an import path into a module of theirs is theirs to know.
"""

import functools
import importlib
import pkgutil
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from ray import __version__ as ray_version
from ray.runtime_env import RuntimeEnv, RuntimeEnvConfig

from serve_app.config import did_you_mean, meant, problems
from serve_app.tools.check.paths import nearest, parts
from serve_app.tools.kube.findings import Place, Problem

_FIELDS = {*RuntimeEnv.known_fields, "nsight", "rocprof_sys"}
_CONTROLLER = "Serve's controller fails on it, and again whenever it starts"
_READ_BY_US = ("ray", "serve_app")  # modules that are here as they are in the pods


def built(
    place: Place, why: str, kind: type[BaseModel], make: Callable[..., Any], *parts: Any, **options: Any
) -> Iterator[Problem]:
    """What Ray says when it makes a thing of a part of the config."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            make(*parts, **options)
        except ValidationError as error:
            for inner, text in problems(error, kind):
                yield Problem((*place, *inner), text, why)
        except Exception as error:  # whatever a validator of Ray's raises
            yield Problem(place, str(error).replace("\n", " "), why)
    for one in said:
        yield Problem(place, str(one.message), "Ray warns of it", severity="warning")


def runtime_env(value: Any, place: Place, why: str = _CONTROLLER) -> Iterator[Problem]:
    """Field by field, then what excludes what. Files that it names are read in the pods, not here."""
    if not isinstance(value, dict):
        yield Problem(place, f"expected a mapping, got {value!r}", why)
        return
    installers = [name for name in ("pip", "uv", "conda") if value.get(name)]
    if len(installers) > 1:
        yield Problem(place, f"{' and '.join(installers)} exclude each other", why)
        return
    checked, broken = dict[str, Any](), False
    for key, one in value.items():
        if one is None or _is_file(key, one):
            continue
        yield from _ignored((key,), _FIELDS, place)
        inner = one
        if key == "config" and isinstance(one, dict):
            known = RuntimeEnvConfig.known_fields
            yield from _ignored(one, known, (*place, key))
            inner = {name: part for name, part in one.items() if name in known}
        checked[str(key)] = inner
        for part, where in _parts(str(key), inner):
            for problem in built((*place, *where), why, BaseModel, RuntimeEnv, **{str(key): part}):
                broken = True
                yield problem
    if not broken:
        yield from built(place, why, BaseModel, RuntimeEnv, **checked)


def _ignored(keys: Iterable[Any], known: Collection[str], place: Place) -> Iterator[Problem]:
    for key in keys:
        if key not in known:
            hint = did_you_mean(str(key), [name for name in known if not name.startswith("_")])
            what = f"no field of a runtime_env{hint}"
            yield Problem((*place, key), what, "Ray ignores it", severity="warning")


def _parts(key: str, value: Any) -> Iterator[tuple[Any, Place]]:
    """Variables one by one: Ray's sentence doesn't say which it means."""
    if key == "env_vars" and isinstance(value, dict):
        yield from (({name: text}, (key, name)) for name, text in value.items())
    else:
        yield value, (key,)


def _is_file(key: Any, value: Any) -> bool:
    packages = value.get("packages") if isinstance(value, dict) else value
    return key in ("pip", "uv", "conda") and isinstance(packages, str)


def import_path(path: Any, place: Place) -> Iterator[Problem]:
    """Ray's and our own are looked up, others' are read as `module:name` or `module.name`."""
    if not isinstance(path, str):
        return
    if (named := parts(path)) is None:
        yield Problem(place, f"'{path}' is no import path: module:name")
        return
    module, name = named
    if (top := module.partition(".")[0]) not in _READ_BY_US:
        if ours := nearest(path):
            what = f"no module '{top}' of Tandem; did you mean {ours}?"
            yield Problem(place, what, severity="error" if top not in _installed() else "warning")
    else:
        names: list[str] = []
        try:
            names = dir(importlib.import_module(module))
            there = name in names or hasattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            there = not module.startswith(str(error.name))  # else it lacks a module of others
        except Exception:  # it is there, and can't run here
            there = True
        if not there:  # a pod's Ray may be another than this one
            ours = nearest(path) or _meant(module, name, names)
            text = f"no '{path}' in {'this Tandem' if top == 'serve_app' else f'Ray {ray_version}'}"
            text += f"; did you mean {ours}?" if ours else ""
            yield Problem(place, text, severity="error" if top == "serve_app" else "warning")


def _meant(module: str, name: str, names: list[str]) -> str:
    close = meant(name, [one for one in names if not one.startswith("_")])
    return f"{module}:{close}" if close else ""


@functools.cache
def _installed() -> frozenset[str]:
    """Modules that are there, so that a name near ours may be one of theirs."""
    return frozenset(one.name for one in pkgutil.iter_modules())
