"""The environment variables by which we set Ray up: it reads each, by that name."""

import mmap
import re
from functools import cache
from pathlib import Path

import pytest
import ray
import yaml

from serve_app.tools.run.environment import environment

ROOT = Path(__file__).parents[2]
RAY = Path(ray.__file__).parent
_NAME = re.compile(r"\b_{0,2}(?:RAY|LOG|METRICS)_\w+")
# Set for processes of ours, or told to KubeRay's operator: Ray doesn't read them.
OURS = {"RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE", "RAY_ROLE", "TANDEM_ANSWER_EARLY"}


@cache
def texts() -> str:
    """Ray's Python code."""
    parts = [file.read_text(errors="replace") for file in RAY.rglob("*.py")]
    return "\n".join(parts)


def in_binary(name: str) -> bool:
    """Settings of Ray's own core are known to it without their prefix."""
    with (
        (RAY / "_raylet.so").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        return data.find(name.removeprefix("RAY_").encode()) >= 0


def written() -> set[str]:
    """In manifests and images."""
    names: set[str] = set()
    for file in (ROOT / "rayservice.yaml", ROOT / "Dockerfile"):
        names |= set(_NAME.findall(file.read_text()))
    for file in (ROOT / "configs").glob("k8s/**/*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            names |= set(re.findall(r"'name': '(_{0,2}RAY_\w+)'", str(document)))
    return names


def ours(folder: Path) -> set[str]:
    """In the launchers."""
    names = set(environment(folder, "127.0.0.1", "high-throughput"))
    rooms = (ROOT / "serve_app" / "tools", ROOT / "serve_app" / "internals")
    for file in (one for room in rooms for one in room.rglob("*.py")):
        names |= set(re.findall(r"\"(_{0,2}RAY_\w+)\"", file.read_text()))
    return names


def test_every_variable_is_one_of_ray_s(tmp_path: Path) -> None:
    code = texts()
    names = (written() | ours(tmp_path)) - OURS
    assert len(names) > 30
    unknown = {name for name in names if f'"{name}"' not in code and f"'{name}'" not in code}
    assert sorted(name for name in unknown if not in_binary(name)) == []


@pytest.mark.parametrize("name", ["RAY_SERVE_NO_SUCH_SETTING", "RAY_no_such_setting"])
def test_a_name_that_is_not_there_is_noticed(name: str) -> None:
    assert f'"{name}"' not in texts()
    assert not in_binary(name)
