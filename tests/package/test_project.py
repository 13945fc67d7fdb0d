"""The repository as a package: versions, extras, locks, layers, and what lies at its top."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import serve_app
from tests.package.tracked import ROOT, is_checkout, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIRED = {
    "CHANGELOG.md", "Dockerfile", "Makefile", "README.md", "pyproject.toml", "rayservice.yaml",
    "configs", "docs", "loadtests", "serve_app", "tests",
}  # fmt: skip
LOCKS = tracked("configs/locks/*.txt")
FRAMEWORKS = ("torch", "onnxruntime", "transformers")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_version() -> None:
    dynamic = PROJECT["tool"]["setuptools"]["dynamic"]["version"]
    assert dynamic == {"attr": "serve_app.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", serve_app.__version__)
    assert importlib.metadata.version(PROJECT["project"]["name"]) == serve_app.__version__


def test_command() -> None:
    (command,) = PROJECT["project"]["scripts"].items()
    assert command == ("tandem", "serve_app.tools.cli:main")


def test_one_name() -> None:
    """The command `tandem`, the distribution `tandem-serve`: docs/decisions/0009-one-name.md."""
    assert PROJECT["project"]["name"] == "tandem-serve"
    help_text = run(sys.executable, "-m", "serve_app", "--help").stdout
    assert help_text.startswith("usage: tandem ")
    modules = {
        str(path.relative_to(ROOT))
        for path in tracked("serve_app/**/*.py")
        if '__name__ == "__main__"' in path.read_text() or path.name == "__main__.py"
    }
    assert modules == {"serve_app/__main__.py", "serve_app/batch.py"}
    old = run(sys.executable, "-m", "serve_app.batch", "--help").stdout
    assert old.startswith("usage: tandem batch ")


def test_extras_in_messages_exist() -> None:
    named: set[str] = set()
    for path in tracked("serve_app/**/*.py"):
        text = path.read_text()
        named |= set(re.findall(rf"{PROJECT['project']['name']}\[([\w,]+)\]", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "need":
                named.add(ast.literal_eval(node.args[1]))
    assert {"torch", "onnx", "transformers", "demo"} <= named
    assert named <= set(PROJECT["project"]["optional-dependencies"])


def test_top_level() -> None:
    if not is_checkout():
        pytest.skip("not a git checkout")
    present = {path.relative_to(ROOT).parts[0] for path in tracked("**")}
    assert REQUIRED - present == set()
    assert {name for name in present - REQUIRED if not name.startswith(".")} == set()


def test_no_python_file_is_long() -> None:
    """But for what protoc writes."""
    files = [path for path in tracked("**/*.py") if not path.stem.endswith("_pb2")]
    lines = {path: path.read_text().count("\n") for path in files}
    assert len(lines) > 400
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > 300} == {}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_locks(path: Path) -> None:
    entries = re.split(r"\n(?=\S)", path.read_text().strip())
    for entry in entries:
        first, *hashes = entry.splitlines()
        assert re.match(r"[a-z0-9-]+(\[[\w,]+\])?==[\w.+!]+( ;|\s*\\$)", first), first
        assert hashes, first
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes), first
        # PyTorch's CPU build is installed by itself; nothing may bring its GPU packages along.
        gpu = re.match(r"(torch|triton|pytorch-triton|nvidia-(?!pytriton|ml-py).*|cuda-.*)==", first)
        # vLLM's lock for GPUs is whole.
        assert path.stem == "llm-gpu" or bool(gpu) == (path.stem == "gpu"), first


def test_there_are_locks() -> None:
    own = {"batch", "dev", "explain", "gpu", "serve", "llm-cpu", "llm-gpu", "tensorflow"}
    assert {path.stem for path in LOCKS} == own | {
        "kserve",
        "kserve-bench",
        "clients",
        "aiperf",
        "mlserver",
    }


def test_serve_lock_is_part_of_the_dev_lock() -> None:
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+==[^ ]+)", path.read_text(), re.MULTILINE))

    assert pins(ROOT / "configs/locks/serve.txt") <= pins(ROOT / "configs/locks/dev.txt")


def test_layers() -> None:
    result = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


def imports_of_ours(*paths: Path) -> set[str]:
    """What these files import from serve_app, as dotted names."""
    names: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] == "serve_app"}


def test_load_tests_import_only_the_protocol() -> None:
    """And what finds free ports and starts programs.

    The servers that the benchmark puts around our runtimes know little more.

    What needs no server at all, the limit, has our batching too; what is done to the node's cache, that;
    rollouts that are simulated, the decisions.
    """
    folder = ROOT / "loadtests"
    peers = {
        folder / "hosted.py",
        *tracked("loadtests/bench/peers/*.py"),
        *tracked("loadtests/kserve/*.py"),
    }
    cache = folder / "storage" / "workers.py"
    rollouts = set(tracked("loadtests/rollouts/*.py"))
    ours = imports_of_ours(*set(tracked("loadtests/**/*.py")) - peers - rollouts - {cache})
    assert ours
    parts = ("protocol.", "ports.", "processes.")
    assert {name for name in ours if not name.removeprefix("serve_app.").startswith(parts)} == set()
    ours = imports_of_ours(cache)
    assert {
        name for name in ours if not name.startswith(("serve_app.repository", "serve_app.errors."))
    } == set()
    assert {
        name
        for name in imports_of_ours(*rollouts)
        if not name.startswith(("serve_app.releases.", "serve_app.config."))
    } == set()
    parts = (*parts, "config.", "errors.", "runtimes.host.", "observability.logs.", "core.batching.")
    wrapped = imports_of_ours(*peers)
    assert "serve_app.runtimes.host.ModelHost" in wrapped
    assert {name for name in wrapped if not name.removeprefix("serve_app.").startswith(parts)} == set()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("serve_app.app", FRAMEWORKS),
        ("serve_app.tools.check", (*FRAMEWORKS, "sklearn", "pandas", "pyarrow")),  # `tandem run` stays
        ("loadtests.locustfile", (*FRAMEWORKS, "sklearn", "ray", "serve_app.app")),
        ("loadtests.bench.__main__", (*FRAMEWORKS, "sklearn", "ray", "uvicorn", "serve_app.runtimes")),
    ],
)
def test_imports_stay_light(module: str, absent: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print([name for name in {absent!r} if name in sys.modules])"
    result = run(sys.executable, "-c", code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def imported(module: str, seen: set[str]) -> set[str]:
    """What a module of ours needs to be imported, and the modules of ours that it imports."""
    seen.add(module)
    file = ROOT / (module.replace(".", "/") + ".py")
    tree = ast.parse((file if file.exists() else file.with_suffix("") / "__init__.py").read_text())
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)]
    ours = {name for name in names if name.split(".")[0] in ("serve_app", "loadtests")}
    found = {name.split(".")[0] for name in names} - {"serve_app", "loadtests"}
    return found.union(*(imported(name, seen) for name in sorted(ours - seen) if name not in seen))


@pytest.mark.parametrize(
    ("module", "lock"),
    [
        ("loadtests.bench.peers.mlserver_server", "mlserver.txt"),
        ("loadtests.kserve.__main__", "kserve-bench.txt"),
    ],
)
def test_peers_locks_hold_what_peers_import(module: str, lock: str) -> None:
    needed = imported(module, set()) - sys.stdlib_module_names
    assert {"numpy", "psutil", "yaml"} <= needed
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "configs/locks" / lock).read_text(), re.M))
    packages = importlib.metadata.packages_distributions()
    missing = [
        name
        for name in needed
        if not locked & {each.lower().replace("_", "-") for each in packages.get(name, [name])}
    ]
    assert missing == []
