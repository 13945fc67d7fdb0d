"""A Python model's class, as its text says, against what is asked of it."""

import ast
import copy
import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from serve_app.config import did_you_mean, meant
from serve_app.tools.check.modules import Where, class_of, import_path
from serve_app.tools.kube.findings import Place, Problem

_WHY = "the model can't be loaded"
_TOLD = ("folder", "version", "name")  # by the runtime, where they are asked for
Method = ast.FunctionDef | ast.AsyncFunctionDef


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
    methods = {one.name: one for one in node.body if isinstance(one, Method)}
    named = {getattr(one, "id", getattr(one, "attr", "")) for one in ast.walk(node)}
    if not {verb, "__getattr__"} & (methods.keys() | named):
        better = meant(verb, methods)
        hint = f"; it has {better}" if better else ""
        yield Problem((*place, "class"), f"{path} has no {verb}(inputs, parameters){hint}", _WHY)
    elif (method := methods.get(verb)) and not _takes(method, 3):
        takes = ast.unparse(method.args)
        what = f"{path}: {verb} is called with (inputs, parameters), and takes {takes}"
        yield Problem((*place, "class"), what, _WHY, f"def {verb}(self, inputs, parameters)")
    if "__new__" not in methods:
        yield from _options(path, methods.get("__init__"), options, place, told)


def _bare(node: ast.ClassDef) -> bool:
    return all(isinstance(base, ast.Name) and base.id == "object" for base in node.bases)


def _signature(method: Method | None) -> inspect.Signature:
    """As its text says. Nothing of it runs: every default is None here."""
    plain = ast.arguments([], [ast.arg("self")], None, [], [], None, [])
    given = copy.copy(method.args) if method else plain
    given.defaults = [ast.Constant(None) for _ in given.defaults]
    given.kw_defaults = [one and ast.Constant(None) for one in given.kw_defaults]
    text = ast.fix_missing_locations(ast.Expression(ast.Lambda(given, ast.Constant(None))))
    return inspect.signature(eval(compile(text, "", "eval")))  # noqa: S307


def _takes(method: Method, count: int) -> bool:
    """Whether it can be called with so many arguments, as far as its text says."""
    try:
        return bool(method.decorator_list or _signature(method).bind(*range(count)))
    except TypeError:
        return False


def _options(
    path: str, init: Method | None, options: Mapping[str, Any], place: Place, told: Collection[str]
) -> Iterator[Problem]:
    """Held against the constructor, whose keyword arguments they are."""
    if init is not None and init.decorator_list:
        return
    given = list(_signature(init).parameters.values())[1:]
    named = {one.name: one for one in given if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    unknown = [str(key) for key in options if key not in named]
    for key in unknown if all(one.kind != one.VAR_KEYWORD for one in given) else ():
        hint = did_you_mean(key, named)
        what = f"{path} takes no '{key}'{hint or ': its __init__ has no arguments'}"
        yield Problem((*place, "options", key), what, _WHY)
    needed = [name for name, one in named.items() if one.default is one.empty]
    missing = [one for one in needed if one not in options and one not in told]
    if absent := [one for one in missing if meant(one, unknown) == ""]:
        what = f"{path} needs {', '.join(absent)}, keyword arguments of its __init__"
        yield Problem((*place, "options"), what, _WHY, f"options: {{{absent[0]}: …}}")
