"""A Python model's class, as its text says, against what is asked of it."""

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from serve_app.config import did_you_mean, meant
from serve_app.tools.check.modules import Where, class_of, import_path
from serve_app.tools.kube.findings import Place, Problem

_WHY = "the model can't be loaded"
_TOLD = ("folder", "version", "name")  # by the runtime, where they are asked for


def check(
    path: str, options: Mapping[str, Any], place: Place, where: Where, explains: bool = False
) -> Iterator[Problem]:
    """Whether it is there, has `predict` (or `explain`), and takes the options. `place`: the model's."""
    verb, told = ("explain", (*_TOLD, "model")) if explains else ("predict", _TOLD)
    missing = list(import_path(path, (*place, "class"), where))
    yield from missing
    node = None if missing else class_of(path, where)
    if node is None or node.decorator_list or node.keywords or not _bare(node):
        return  # what others give it, its text doesn't say
    methods = {
        one.name: one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assigned = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }
    if not {verb, "__getattr__"} & (methods.keys() | assigned):
        better = meant(verb, methods)
        hint = f"; it has {better}" if better else ""
        yield Problem((*place, "class"), f"{path} has no {verb}(inputs, parameters){hint}", _WHY)
    elif (method := methods.get(verb)) and not _takes(method, 2):
        takes = ast.unparse(method.args)
        what = f"{path}: {verb} is called with (inputs, parameters), and takes {takes}"
        yield Problem((*place, "class"), what, _WHY, f"def {verb}(self, inputs, parameters)")
    if "__new__" not in methods:
        yield from _options(path, methods.get("__init__"), options, place, told)


def _bare(node: ast.ClassDef) -> bool:
    return all(isinstance(base, ast.Name) and base.id == "object" for base in node.bases)


def _takes(method: ast.FunctionDef | ast.AsyncFunctionDef, count: int) -> bool:
    """Whether it can be called with so many arguments beside its object, as far as its text says."""
    given = method.args
    plain = len(given.posonlyargs) + len(given.args) - 1
    fits = plain - len(given.defaults) <= count and (plain >= count or given.vararg is not None)
    return bool(method.decorator_list) or (fits and None not in given.kw_defaults)


def _options(
    path: str,
    init: ast.FunctionDef | ast.AsyncFunctionDef | None,
    options: Mapping[str, Any],
    place: Place,
    told: Collection[str],
) -> Iterator[Problem]:
    """Held against the constructor, whose keyword arguments they are."""
    if init is not None and init.decorator_list:
        return
    given = init.args if init else ast.arguments([], [ast.arg("self")], None, [], [], None, [])
    plain = given.args if given.posonlyargs else given.args[1:]
    named = [one.arg for one in (*plain, *given.kwonlyargs)]
    for key in options if given.kwarg is None else ():
        if key not in named:
            hint = did_you_mean(str(key), named)
            what = f"{path} takes no '{key}'{hint or ': its __init__ has no arguments'}"
            yield Problem((*place, "options", key), what, _WHY)
    free = len(given.defaults)
    needed = [one.arg for one in (plain[: len(plain) - free] if free else plain)]
    needed += [
        one.arg
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if default is None
    ]
    missing = [one for one in needed if one not in options and one not in told]
    unknown = [str(key) for key in options if key not in named]
    if absent := [one for one in missing if meant(one, unknown) == ""]:
        what = f"{path} needs {', '.join(absent)}, keyword arguments of its __init__"
        yield Problem((*place, "options"), what, _WHY, f"options: {{{absent[0]}: …}}")
