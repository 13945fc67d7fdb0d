"""What the command reads and says, without Ray."""

import io
import os
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from serve_app.config import RemoteModel
from serve_app.errors import ConfigError
from serve_app.runtimes import base
from serve_app.tools.arguments import between, count, mapping, pair, size
from serve_app.tools.batch import packed
from serve_app.tools.batch.command import model_of, models_in
from serve_app.tools.batch.job import Counts, write
from serve_app.tools.batch.pipeline import Workers, copies, ours, room
from serve_app.tools.batch.progress import Progress
from serve_app.tools.batch.store import Store
from serve_app.tools.check import load_checked
from serve_app.tools.cli import main
from tests.server import QUICKSTART, ROOT


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for Ray is taken back."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")


def test_ray_is_told_before_it_is_imported() -> None:
    """Else this process has no token, and the GCS that it starts asks for one."""
    code = """
import sys
from serve_app.tools.batch import environment
real = environment.prepare
environment.prepare = lambda: (real(), print("ray" in sys.modules))
from serve_app.tools.cli import main
main(["batch", "none.yaml", "m", "in", "out"])
import os
print(os.environ["RAY_AUTH_MODE"], "ray" in sys.modules)
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "token", "True"]


def test_every_model_of_a_config_can_be_asked_for() -> None:
    models = models_in(load_checked(QUICKSTART))
    assert set(models) == {"identity", "digits", "digits-onnx", "sentences"}
    assert [RemoteModel.model_validate(one).name for one in models.values()] == list(models)
    assert model_of(QUICKSTART, "digits", None)["versions"] == "latest"
    assert model_of(QUICKSTART, "digits", "7")["versions"] == ["7"]
    with pytest.raises(ConfigError, match="no model 'digit'; did you mean digits"):
        model_of(QUICKSTART, "digit", None)


def test_without_its_packages_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(module: str) -> Any:
        raise ImportError(f"No module named '{module}'")

    monkeypatch.setattr(base.importlib, "import_module", missing)
    (tmp_path / "a.txt").write_text("a\n")
    assert (
        main(["batch", str(QUICKSTART), "identity", str(tmp_path / "a.txt"), str(tmp_path / "o")]) == 2
    )
    assert "pip install 'tandem-serve[batch]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("sentence", "empty.txt", "did you mean sentences?"),
        ("sentences", "empty.txt", "no row in it"),
        ("sentences", "none.txt", "no such file or folder"),
        ("sentences", "s4://bucket/x", "s4"),
        ("sentences", "*.csv", "no file there"),
    ],
)
def test_mistakes_are_said_before_anything_starts(
    tmp_path: Path, name: str, source: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.txt").write_text("")
    at = source if "://" in source else str(tmp_path / source)
    assert main(["batch", str(QUICKSTART), name, at, str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        (count, "3", 3), (between, "4", (4, 4)), (between, "1:8", (1, 8)), (pair, "x=y=z", ("x", "y=z")),
        (size, "8x12", (8, 12)), (mapping, '{"a": 1}', {"a": 1}),
        (count, "0", None), (between, "8:1", None), (between, "1:", None), (pair, "x", None),
        (pair, "=y", None), (size, "8", None), (size, "0x8", None), (mapping, "[1]", None),
        (mapping, "{", None),
    ],
)  # fmt: skip
def test_values_of_the_command_line(kind: Callable[[str], Any], text: str, wanted: Any) -> None:
    if wanted is None:
        with pytest.raises(ArgumentTypeError, match="expected"):
            kind(text)
    else:
        assert kind(text) == wanted


def node(cpus: float, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}}


def test_room_is_counted_by_node() -> None:
    assert room([node(3), node(3), node(8, alive=False)], 2, 0) == 2  # not (3 + 3) // 2
    assert room([node(8, 1), node(8)], 1, 1) == 1
    assert room([node(2, 1)], 1, 0.25) == 2
    assert room([{"Alive": True, "Resources": {}}], 1, 0) == 0  # a head


def model(model_format: str = "onnx", gpus: float = 0) -> RemoteModel:
    return RemoteModel.model_validate(
        {"modelFormat": model_format, "storageUri": "x", "resources": {"num_gpus": gpus}}
    )


@pytest.mark.parametrize(
    ("workers", "here", "local", "wanted"),
    [
        (Workers(), 4, False, (4, 4)), (Workers(1, 8), 4, False, (1, 8)),
        (Workers(1, 8), 4, True, (1, 4)), (Workers(6, 6), 4, True, (4, 4)),
        (Workers(1, 99), 4, False, (1, 50)), (Workers(2, 2), 0, False, (2, 2)),
    ],
)  # fmt: skip
def test_how_many_copies(workers: Workers, here: int, local: bool, wanted: tuple[int, int]) -> None:
    assert copies(workers, model(), 50, here, local) == wanted


def test_an_engine_on_cpus_leaves_a_core_to_the_steps_beside_it() -> None:
    assert copies(Workers(), model("vllm"), 50, 4, True) == (1, 3)
    assert copies(Workers(), model("vllm"), 50, 1, True) == (1, 1)
    assert copies(Workers(), model("vllm", 1), 50, 4, True) == (1, 4)


@pytest.mark.parametrize(("workers", "local"), [(Workers(), False), (Workers(2, 2), True)])
def test_no_room_is_said(workers: Workers, local: bool) -> None:
    with pytest.raises(ConfigError, match="no node has room for the model: it asks 1 CPUs and 1 GPUs"):
        copies(workers, model("vllm", 1), 50, 0, local)


def test_the_reason_comes_out_of_what_ray_wraps_around_it() -> None:
    import ray

    text = "Traceback\n  File x, line 1\nserve_app.errors.ConfigError: no column for it\n\nRay says more"
    assert str(ours(ray.exceptions.RaySystemError(text))).endswith("no column for it")
    text = (
        "ray::Read()\nFileNotFoundError: [Errno 2] gone: 'a.txt'\nif you believe this to be transient."
    )
    assert "FileNotFoundError: [Errno 2] gone: 'a.txt'" in str(ours(ray.exceptions.RaySystemError(text)))
    other = RuntimeError("a bug of ours")
    assert ours(other) is other


def test_results_in_one_file(tmp_path: Path) -> None:
    output = str(tmp_path / "out.npz")
    store = Store(packed.folder(output))
    failure = {"input_file": "f", "input_row": 1, "kind": "k", "reason": "r"}
    for number, lists in ((1, [[3, 4]]), (0, [[1, 2], [5, 6]])):
        table = pa.table(
            {"y": pa.array(lists, pa.list_(pa.int64())), "label": [f"é{number}"] * len(lists)}
        )
        write(store, number, table, [failure])
    packed.pack(output, store, Counts(3, 2))
    found = np.load(output)  # nothing in it is pickled
    assert found["y"].tolist() == [[1, 2], [5, 6], [3, 4]]
    assert found["label"].tolist() == ["é0", "é0", "é1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.failed.jsonl", "out.npz"]
    assert len((tmp_path / "out.failed.jsonl").read_text().splitlines()) == 2
    with pytest.raises(ConfigError, match="Name a folder"):
        packed.fits(output, 1_000_001)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_how_far_it_is_is_shown() -> None:
    screen = Terminal()
    progress = Progress(1000, Counts(400, 0), screen)
    assert progress.add(Counts(90, 10)) == Counts(490, 10)
    progress.end()
    assert screen.getvalue().startswith("\r")
    assert "[###############               ] 500 of 1,000 rows (50%)" in screen.getvalue()
    assert ", 10 failed, " in screen.getvalue()
    log = io.StringIO()
    Progress(1000, Counts(), log).add(Counts(500, 0))
    assert log.getvalue() == ""  # nobody wants a line per piece
