"""torch.export archives without the parts that run code.

`torch.export.load` (2.13) trusts its file: it unpickles weights, constants, custom objects and
sample inputs, loads compiled libraries, evaluates the graph's size expressions as Python, calls
any function that a node names, and writes input names into source code. So an archive is refused
unless all of it is on the lists below, and what is left loads with weights_only forced.
"""

import ast
import json
import os
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.pt2_operators import fill_memory, may_call, may_say

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"

_FILES = re.compile(
    r"archive_format|archive_version|byteorder|\.[\w/]+|extra/.*|models/model\.json"
    r"|data/sample_inputs/model\.pt"  # a pickle, loaded with weights_only
    r"|data/weights/(model_weights_config\.json|weight_\d+)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+)"
)
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PAYLOAD = re.compile(r"(weight|tensor)_\d+")
_PLAIN = re.compile(r"[\w.+:/ -]*")  # names and versions: no call, string or line can be written in it
_TREE = re.compile(r'[\w.+: ,"\\{}\[\]-]*')
_CALLED = ("target", "as_operator")
_PROSE = ("as_string", "as_strings")  # only ever quoted, or given to an operator
_SYMBOL = re.compile(r"[a-z]{1,6}\d+")
_QUOTED = re.compile(r"[a-z]{1,6}\d+|[\d.e+-]+")
_FUNCTIONS = {
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod", "PythonMod",
    "FloorDiv", "CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "TruncToInt", "RoundToInt",
    "ToFloat", "IntTrueDiv", "FloatTrueDiv", "PowByNatural", "FloatPow", "LShift", "RShift",
    "ModularIndexing", "Where", "Identity", "TruncToFloat", "RoundDecimal", "Eq", "Ne", "Le", "Lt",
    "Ge", "Gt", "And", "Or", "Not", "Abs",
}  # fmt: skip
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.keyword, ast.Name, ast.Constant,
    ast.operator, ast.unaryop, ast.cmpop, ast.expr_context,
)  # fmt: skip
_GUARD_NODES = (*_NODES, ast.BoolOp, ast.boolop, ast.Subscript, ast.Attribute)


def load_program(path: Path) -> Any:
    """The ExportedProgram in `path`; ConfigError when reading or running it would run code."""
    check(path)
    import torch

    with LOADING, _weights_only():
        try:
            program = torch.export.load(str(path))
        except pickle.UnpicklingError as error:
            raise ConfigError(f"{path} holds a pickle of more than tensors: {error}") from None
    fill_memory(program)
    return program


def check(path: Path) -> None:
    """Refuse an archive that holds anything but tensors and a graph of known operators."""
    from torch.export.pt2_archive import PT2ArchiveReader

    try:
        # The reader that torch loads with: another could see another archive in the same bytes.
        archive = PT2ArchiveReader(str(path))
        names = archive.get_file_names()
        for name in names:
            if not _FILES.fullmatch(name):
                raise ConfigError(f"{path} holds '{name}', which is not loaded: it may hold code")
        configs = [json.loads(archive.read_bytes(name)) for name in _CONFIGS if name in names]
        entries = [item for config in configs for item in config["config"].items()]
        graph = json.loads(archive.read_bytes("models/model.json"))
    except (RuntimeError, AssertionError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is no torch.export archive, or one from before PyTorch 2.8 "
            f"(then export it again): {str(error)[:200]}"
        ) from None
    for key, entry in entries:
        if entry.get("use_pickle") or not _PAYLOAD.fullmatch(str(entry.get("path_name"))):
            raise ConfigError(f"{path} holds '{key}' as a pickle, which is not loaded")
    for place, argument, text in _texts(graph, "", None):
        if place in _CALLED and not may_call(text):
            raise ConfigError(
                f"{path} calls {text[:80]!r}, which isn't among the operators that only compute: it "
                "might run code, or touch files: not loaded"
            )
        if not _harmless(place, argument, text):
            raise ConfigError(f"{path}: the graph's {place} {text[:80]!r} might run code: not loaded")


def _texts(value: Any, place: str, argument: str | None) -> Iterator[tuple[str, str | None, str]]:
    """Every string in the graph: the key it stands under (`key` for keys), the operator's argument that
    it belongs to (None where it is no operator's), and the string.
    """
    if isinstance(value, str):
        yield place, argument, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, place, argument)
    elif isinstance(value, dict):
        if place == "inputs" and "target" not in value and "arg" in value:  # of a node
            argument = str(value.get("name"))
        for key, item in value.items():
            yield "key", argument, key
            if key != "metadata":  # stack traces and the like: read, never evaluated
                yield from _texts(item, key, argument)


def _harmless(place: str, argument: str | None, text: str) -> bool:
    if place in _CALLED:
        return may_call(text)
    if place in _PROSE and argument is not None:
        return may_say(argument, text)
    if place == "expr_str":
        return _is_arithmetic(text)
    if place == "guards_code":
        return _is_arithmetic(text, guard=True)
    if place in ("in_spec", "out_spec"):
        return bool(_TREE.fullmatch(text)) and "__enum__" not in text and "\\n" not in text
    if place == "key" and _is_arithmetic(text):
        return True  # the range of a size expression
    return place in _PROSE or bool(_PLAIN.fullmatch(text))


def _is_arithmetic(text: str, guard: bool = False) -> bool:
    """Whether a size expression is made of symbols, numbers and known functions alone.

    A guard may ask for sizes of inputs too: `L['x'].size()[0]`.
    """
    try:
        tree = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    if any(character in text for character in "#\\\n"):
        return False
    return all(_is_known(node, guard) for node in tree)


def _is_known(node: ast.AST, guard: bool) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return bool((_PLAIN if guard else _QUOTED).fullmatch(text))
        case ast.Constant(value=value):
            return isinstance(value, int | float)
        case ast.Name(id=name):
            return bool(_SYMBOL.fullmatch(name)) or name in _FUNCTIONS or (guard and name == "L")
        case ast.Attribute(attr=name):
            return guard and name == "size"
        case ast.Call(func=function):
            return isinstance(function, ast.Name | ast.Attribute)
    return isinstance(node, _GUARD_NODES if guard else _NODES)


@contextmanager
def _weights_only() -> Iterator[None]:
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before
