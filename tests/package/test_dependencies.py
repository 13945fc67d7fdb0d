"""What is imported is declared, in the extra that installs it; what is declared is imported."""

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.package.tracked import ROOT, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"serve_app", "loadtests", "tests"}
DISTRIBUTIONS = importlib.metadata.packages_distributions()

# Which extras a folder's (or a file's) imports may come from, beside what is always installed.
EXTRAS: dict[str, set[str]] = {
    "serve_app/app.py": {"llm"},  # asks whether vLLM is there
    "serve_app/releases/store.py": {"s3", "gs", "azure"},
    "serve_app/demo": {"demo", "torch", "transformers"},
    "serve_app/internals": {"llm"},
    "serve_app/llm": {"llm"},
    "serve_app/observability/payloads": {"batch", "kafka"},
    "serve_app/repository": {"s3", "gs", "azure", "hf"},
    "serve_app/runtimes": {
        "torch",
        "onnx",
        "transformers",
        "sklearn",
        "xgboost",
        "lightgbm",
        "tensorflow",
    },
    "serve_app/explainers": {"explain", "torch"},
    "serve_app/tools/batch": {"batch", "llm"},
    "serve_app/tools/check": {"check"},
    "serve_app/tools/check/payloads.py": {"batch"},  # asks whether pyarrow is there
    "serve_app/tools/convert": {"convert", "sklearn", "xgboost"},
    "serve_app/tools/kube": {"check"},
    "serve_app/tools/models": {"hf"},  # a bar, where there is one
    "loadtests": {"load"},
    "loadtests/storage": {"s3", "azure", "test"},  # stores of the tests'
    "loadtests/bench/tabular.py": {"sklearn", "xgboost"},
    "loadtests/kserve/tabular.py": {"sklearn", "xgboost"},
    "loadtests/batch.py": {"transformers"},  # what it compares with
    "tests": set(PROJECT["optional-dependencies"]),
}
# Imported, and installed beside us: from where.
ELSEWHERE = {
    "cloudevents": "configs/locks/kserve.txt, beside KServe's client",
    "kserve": "configs/locks/kserve.txt, the twin's own environment",
    "mlserver": "configs/locks/mlserver.txt and clients.txt, environments of its own",
    "mlserver_sklearn": "configs/locks/mlserver.txt",
    "mlserver_xgboost": "configs/locks/mlserver.txt",
    "pytriton": "configs/locks/clients.txt, its own environment",
    "requests": "configs/locks/clients.txt, for MLServer's codecs",
    "openai": "configs/locks/llm-cpu.txt, for the tests of its protocol",
}
# Declared, and imported by others: by whom.
BY_OTHERS = {
    "cloudcoil-models-istio": "tests/package/test_manifests.py, by a path in a text",
    "cloudcoil-models-prometheus-operator": "tests/package/test_manifests.py, by a path in a text",
    "flask": "moto's server",
    "flask-cors": "moto's server",
    "hera": "tests/package/test_manifests.py, by a path in a text",
    "openai-harmony": "vLLM, which does without at its own import",
    "opentelemetry-sdk": "Ray's agent; tests/contracts/test_metric_limits.py",
    "pandas": "Ray's LLM library",
    "pyarrow": "Ray's LLM library",
    "pytest-asyncio": "pytest, as a plugin",
    "pytest-cov": "pytest, as a plugin",
    "pytest-xdist": "pytest, as a plugin",
}
# What comes with others, of the same makers, in step with it.
WITH = {
    "fsspec": {"s3fs", "gcsfs", "adlfs"}, "azure": {"adlfs"}, "tqdm": {"huggingface-hub"},
    "tensorflow": {"tensorflow-cpu"},  # its build without CUDA
}  # fmt: skip
COMMANDS = ("lint", "protos")  # extras of programs that nothing imports


def normal(name: str) -> str:
    """A distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()  # type: ignore[index]


def declared(extra: str = "") -> set[str]:
    """The distributions of an extra, or of no extra."""
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    return {normal(one) for one in (extras[extra] if extra else PROJECT["dependencies"])}


@functools.cache  # several ask of all files
def imported(path: Path) -> frozenset[str]:
    """The packages that a file imports, wherever in it, by statement or by name."""
    siblings = {one.stem for one in path.parent.glob("*.py")}  # programs that run beside each other
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called in ("need", "library", "import_module", "find_spec", "importorskip"):
                names = [str(node.args[0].value)]
        found.update(name.split(".")[0] for name in names)
    return frozenset(found - OURS - sys.stdlib_module_names - siblings)


def distributions(package: str) -> set[str]:
    """Those that may bring a package; `google` is in many."""
    return {normal(one) for one in DISTRIBUTIONS.get(package, [package])} | WITH.get(package, set())


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in tracked(f"{folder}/**/*.py"))


def allowed(path: Path) -> set[str]:
    """What a file may import from."""
    name = str(path.relative_to(ROOT))
    extras = {extra for part, some in EXTRAS.items() if name.startswith(part) for extra in some}
    return declared().union(*(declared(extra) for extra in extras))


@pytest.mark.parametrize("folder", sorted(OURS))
def test_what_is_imported_is_declared(folder: str) -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {package}"
        for path in files(folder)
        for package in imported(path)
        if package not in ELSEWHERE and not distributions(package) & allowed(path)
    }
    assert missing == set()


def brought(*folders: str) -> set[str]:
    """The distributions of everything that the files of these folders import."""
    return {one for path in files(*folders) for name in imported(path) for one in distributions(name)}


def test_what_is_declared_is_imported() -> None:
    ours, tests = brought("serve_app", "loadtests"), brought("tests")
    extras = set(PROJECT["optional-dependencies"]) - {"test", *COMMANDS}
    unused = declared().union(*map(declared, extras)) - ours - set(BY_OTHERS)
    assert unused == set()
    assert declared("test") - ours - tests - set(BY_OTHERS) == set()


def test_no_exception_is_out_of_date() -> None:
    everything = {p for path in files(*OURS) for p in imported(path)}
    assert set(ELSEWHERE) <= everything
    extras = PROJECT["optional-dependencies"]
    assert set(BY_OTHERS) <= declared().union(*map(declared, extras))
    for part in EXTRAS:
        assert (ROOT / part).exists(), part


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("serve", ("torch", "onnx", "transformers", "demo")),
        ("dev", ("torch", "onnx", "transformers", "demo", "batch", "load", "test", "lint", "protos")),
        ("llm-gpu", ("torch", "onnx", "transformers", "demo", "llm")),
        ("llm-cpu", ("torch", "onnx", "transformers", "demo")),
    ],
)
def test_locks_hold_what_is_declared(lock: str, extras: tuple[str, ...]) -> None:
    text = (ROOT / "configs/locks" / f"{lock}.txt").read_text()
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", text, re.MULTILINE):
        locked.setdefault(normal(name), []).append(version)
    some: list[list[str]] = [PROJECT["optional-dependencies"][extra] for extra in extras]
    wanted = [Requirement(one) for one in sum(some, PROJECT["dependencies"])]
    for one in wanted:
        if one.name == "torch" and lock != "llm-gpu":
            assert "torch" not in locked  # configs/locks/pytorch.py installs it
        else:
            versions = locked[normal(one.name)]
            assert all(one.specifier.contains(version) for version in versions), (str(one), versions)
    assert "setuptools" in locked  # the image and the Makefile build without an environment apart
