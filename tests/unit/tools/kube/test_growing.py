"""YAML that is small as text and large as values is refused, at its line, for what it is as text."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.check import load_checked
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.documents import read
from serve_app.tools.local.manifest import load
from serve_app.tools.run.command import _addresses

TEN = ", ".join(["*{0}"] * 10)
ALIASES = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{TEN.format(f'a{n - 1}')}]\n" for n in range(1, 12))
MERGES = "m0: &m0 {x: 1}\n" + "".join(
    f"m{n}: &m{n} {{<<: [{TEN.format(f'm{n - 1}')}]}}\n" for n in range(1, 12)
)
CHAIN = "m0: &m0 {x: 1}\n" + "".join(f"m{n}: &m{n} {{<<: *m{n - 1}, k{n}: 1}}\n" for n in range(1, 400))
STAIRS = "s0: &s0 [1]\n" + "".join(f"s{n}: &s{n} [*s{n - 1}]\n" for n in range(1, 300))
GROWING = [
    (ALIASES, 6, "unfold to more than 50,000"), (MERGES, 6, "unfold to more than 50,000"),
    (CHAIN, 201, "nest more than 200"), (STAIRS, 201, "nest more than 200"),
    ("x: 1\na: &a\n  b: *a\n", 2, "contains itself"), ("a: &a\n  <<: *a\n", 1, "contains itself"),
    ("x: 1\ny: " + "[" * 100_000, 2, "nested more than 200"), ("x: 1\n" + "- " * 5000, 2, ""),
    ("{" + '"a": {' * 5000, 1, "nested more than 200"),
    ("x: 1\nport: " + "9" * 100_000, 2, "a number of 100,000 characters"),
    ("x: 1\nport: 1" + ":59" * 100_000, 2, "a number of 300,001 characters"),
    ("x: 1\nport: 0x" + "f" * 5000, 2, "a number of 5,002 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "says"), GROWING, ids=[f"{t[:9]!r}" for t, _, _ in GROWING])
@pytest.mark.parametrize("asked", ["check", "run", "load_checked", "local", "inside"])
def test_yaml_that_grows(tmp_path: Path, text: str, line: int, says: str, asked: str) -> None:
    file = tmp_path / "a.yaml"
    if asked == "inside":  # of a serveConfigV2
        head = (
            "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: a}\nspec:\n  serveConfigV2: |\n"
        )
        text = head + "".join(f"    {one}\n" for one in text.splitlines())
        line += head.count("\n")
    file.write_text(text)
    asks: dict[str, Any] = {
        "check": lambda: list(check(file, None)),
        "run": lambda: _addresses(file, None, None, None),
        "load_checked": lambda: load_checked(file),
        "local": lambda: load(file),
        "inside": lambda: _raised(file),
    }
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as caught:
            asks[asked]()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert says in str(caught.value)
    assert peak < 30 * 2**20


def _raised(file: Path) -> None:
    for one in check(file, None):
        if one.severity == "error" and "not valid YAML" in one.what:
            raise ConfigError(str(one))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: 1}\nb: {<<: *a}\nc: [*a, *a, *a]\n",
        "x: " + "0123456789abcdef" * 8,
        "x: '" + "9" * 5000 + "'",
        "a: " + "[" * 150 + "]" * 150,
    ],
)
def test_what_is_no_bomb(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert len(read(tmp_path / "a.yaml")) == 1


def test_a_large_file_without_aliases_is_read(tmp_path: Path) -> None:
    rows = "".join(f"- {{name: n{n}, value: {n}}}\n" for n in range(3_000))
    (tmp_path / "a.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nrows:\n{rows}")
    (one,) = read(tmp_path / "a.yaml")
    assert len(one.data["rows"]) == 3_000
