"""Private names of other packages stand in serve_app/internals and nowhere else."""

import ast
import functools
import re
from collections.abc import Iterator

import pytest

from tests.package.tracked import ROOT, tracked

ROOM = ROOT / "serve_app" / "internals"
OWN = ("serve_app", "loadtests")
GENERATED = {"serve_app/protocol/inference_pb2.py", "serve_app/protocol/health_pb2.py"}

# What is still elsewhere, by file.
EXPECTED: dict[str, set[str]] = {}
# A peer in the benchmark, run by its own command line, which takes module paths.
PEERS = {
    "loadtests/llm/servers.py": {
        "vllm.entrypoints.openai.api_server", "vllm.v1.executor.uniproc_executor.UniProcExecutor",
    },
}  # fmt: skip

# Public by their spelling, and details all the same.
DETAILS = ("uvicorn.protocols", "ray.dashboard.modules", "ray.llm._internal", "vllm")
# Public by its documentation, whatever the spelling: os._exit, sys._current_frames.
DOCUMENTED = {"_exit", "_current_frames"}
_PATH = re.compile(r"[a-z]\w*(\.\w+)+")
_VARIABLE = re.compile(r"__[A-Z]\w+")
_BY_NAME = ("getattr", "hasattr", "setattr", "delattr")


def private(name: str) -> bool:
    """What its package keeps to itself; names that Python gives a meaning are none."""
    return name.startswith("_") and not name.endswith("__") and name not in DOCUMENTED


def detail(module: str) -> bool:
    """Whether the dotted path, of another package, goes where nothing is promised."""
    first, *rest = module.split(".")
    if first in OWN or first == "tests":
        return False
    inside = any(module.startswith(f"{one}.") or module == one != "vllm" for one in DETAILS)
    return inside or any(private(part) for part in (first, *rest))


def defined(tree: ast.AST) -> set[str]:
    """The private names that a module gives to its own things."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _self(node.value):
            names.add(node.attr)
    return {name for name in names if private(name)}


def _self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def reaches(tree: ast.AST, here: set[str], ours: set[str]) -> Iterator[str]:
    """What of others a module names. `here`: the private names of its own, `ours`: of all modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if detail(alias.name))
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if detail(node.module):
                yield node.module
            full = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in full if private(name.rpartition(".")[2]) and detail(name))
        elif isinstance(node, ast.Attribute) and private(node.attr):
            if node.attr not in (ours if _self(node.value) else here):
                yield f".{node.attr}"
        elif isinstance(node, ast.Call):
            name = _asked_by_name(node)
            if private(name) and name not in (ours if _self(node.args[0]) else here):
                yield f".{name}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _leads(node.value):
            yield node.value


def _asked_by_name(call: ast.Call) -> str:
    """The attribute that getattr and its like are asked for, where it is written down."""
    if isinstance(call.func, ast.Name) and call.func.id in _BY_NAME and len(call.args) > 1:
        name = call.args[1]
        return str(name.value) if isinstance(name, ast.Constant) else ""
    return ""


def _leads(text: str) -> bool:
    """Whether a text is the path of a detail, or a variable that its owner keeps to itself."""
    if _VARIABLE.fullmatch(text):
        return private(text)
    return bool(_PATH.fullmatch(text)) and detail(text)


def trees() -> dict[str, ast.AST]:
    """Our modules, by file."""
    files = [file for package in OWN for file in tracked(f"{package}/**/*.py")]
    found = {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in files}
    return {name: tree for name, tree in found.items() if name not in GENERATED}


@functools.cache
def found() -> dict[str, set[str]]:
    """What is reached for outside the room, by file."""
    modules = trees()
    here = {name: defined(tree) for name, tree in modules.items()}
    ours = set().union(*here.values())
    room = str(ROOM.relative_to(ROOT))
    outside = {name: tree for name, tree in modules.items() if not name.startswith(room)}
    return {name: set(reaches(tree, here[name], ours)) for name, tree in outside.items()}


def test_private_names_of_others_stand_in_one_room() -> None:
    allowed = EXPECTED | PEERS
    new = {name: sorted(names - allowed.get(name, set())) for name, names in found().items()}
    assert {name: names for name, names in new.items() if names} == {}


def test_nothing_is_expected_that_is_gone() -> None:
    there = found()
    allowed = EXPECTED | PEERS
    gone = {name: sorted(names - there.get(name, set())) for name, names in allowed.items()}
    assert {name: names for name, names in gone.items() if names} == {}


def test_every_module_of_the_room_has_a_contract() -> None:
    contracts = ROOT / "tests" / "contracts"
    wanted = {file.stem for file in ROOM.glob("*.py")} - {"__init__"}
    without = [name for name in wanted if not (contracts / f"test_{name}.py").exists()]
    assert wanted
    assert without == []


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import ray._private.services", {"ray._private.services"}),
        ("from ray import _private", {"ray._private"}),
        ("from grpc import _server", {"grpc._server"}),
        ("from ray.serve.context import _get_global_client", {"ray.serve.context._get_global_client"}),
        ("from ray._raylet import X", {"ray._raylet"}),
        ("from uvicorn.protocols.http import h11_impl", {"uvicorn.protocols.http"}),
        ("import vllm.config", {"vllm.config"}),
        ("from vllm.engine.arg_utils import X", {"vllm.engine.arg_utils"}),
        ("need('vllm.engine.arg_utils', 'llm')", {"vllm.engine.arg_utils"}),
        ("import_module('ray.serve._private.common')", {"ray.serve._private.common"}),
        ("replica._metrics_manager.inc()", {"._metrics_manager"}),
        ("super()._start_engine()", {"._start_engine"}),
        ("self._inherited.x", {"._inherited"}),
        ("getattr(self, '_inherited', 1)", {"._inherited"}),
        ("getattr(x, '_y', None)", {"._y"}),
        ("setattr(x, '_y', 1)", {"._y"}),
        ("f(env='__RAY_HOOK')", {"__RAY_HOOK"}),
    ],
)
def test_a_reach_is_found(code: str, names: set[str]) -> None:
    tree = ast.parse(code)
    assert set(reaches(tree, defined(tree), defined(tree))) == names


@pytest.mark.parametrize(
    "code",
    [
        "import vllm",
        "import ray.serve, uvicorn, grpc.aio",
        "from __future__ import annotations",
        "from serve_app.http._x import _y",
        "class A:\n def __init__(self): self._x = 1\n def f(self, other): return other._x",
        "class A:\n def _f(self): ...\ndef g(a): a._f()",
        "type(x).__name__, x.__self__",
        "need('vllm', 'llm')",
        "'a text. _private things'",
        "getattr(x, 'y', None)",
        "class A:\n def f(self): self._x = 1; hasattr(self, '_x')",
    ],
)
def test_our_own_and_public_names_are_none(code: str) -> None:
    tree = ast.parse(code)
    assert set(reaches(tree, defined(tree), defined(tree))) == set()
