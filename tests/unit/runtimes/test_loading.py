"""Two models that load at once, in one process."""

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from serve_app.config import ModelConfig, parse
from serve_app.runtimes import safe_pt2
from serve_app.runtimes.base import create

NO_PROGRAM = SimpleNamespace(graph_module=torch.nn.Module())
FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
DECLARED = [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]


class Overlap:
    """Calls in two threads: the second begins while the first is under way, and outlasts it.

    Where they may not overlap, the first doesn't wait for the second.
    """

    def __init__(self, during: Callable[[], Any]) -> None:
        self._during = during
        self._calls = iter(("first", "second"))
        self._second_is_in, self._first_is_out = threading.Event(), threading.Event()
        self.seen: list[Any] = []

    def step(self) -> None:
        """What the framework's loader does in the middle of a load."""
        if next(self._calls) == "first":
            self._second_is_in.wait(0.5)
        else:
            self._second_is_in.set()
            self._first_is_out.wait(10)
        self.seen.append(self._during())

    def run(self, load: Callable[[], Any]) -> None:
        """Load twice."""
        errors: list[BaseException] = []

        def guarded() -> None:
            try:
                load()
            except BaseException as error:
                errors.append(error)
            finally:
                self._first_is_out.set()

        threads = [threading.Thread(target=guarded) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert errors == []
        assert len(self.seen) == 2


def test_nothing_is_unpickled_in_either_of_two_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FORCE, raising=False)
    overlap = Overlap(lambda: os.environ.get(FORCE))
    monkeypatch.setattr(safe_pt2, "check", lambda path: None)
    monkeypatch.setattr(torch.export, "load", lambda path: overlap.step() or NO_PROGRAM)
    overlap.run(lambda: safe_pt2.load_program(Path("model.pt2")))
    assert overlap.seen == ["1", "1"]
    assert FORCE not in os.environ


def test_what_was_set_before_is_set_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORCE, "0")
    overlap = Overlap(lambda: os.environ[FORCE])
    monkeypatch.setattr(safe_pt2, "check", lambda path: None)
    monkeypatch.setattr(torch.export, "load", lambda path: overlap.step() or NO_PROGRAM)
    overlap.run(lambda: safe_pt2.load_program(Path("model.pt2")))
    assert overlap.seen == ["1", "1"]
    assert os.environ[FORCE] == "0"


def test_the_default_dtype_is_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Transformers changes it for a load."""
    overlap = Overlap(torch.get_default_dtype)

    def from_pretrained(folder: str, *, dtype: torch.dtype, **_: Any) -> Any:
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        overlap.step()
        torch.set_default_dtype(before)
        return torch.nn.Linear(1, 1), {}

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", from_pretrained)
    dtypes = iter(("float16", "bfloat16"))

    def load() -> None:
        options = {"task": "embedding", "dtype": next(dtypes)}
        data = {"modelFormat": "transformers", "storageUri": "x", "options": options}
        create(parse(ModelConfig, data), tmp_path).load()

    try:
        overlap.run(load)
        assert set(overlap.seen) == {torch.float16, torch.bfloat16}
        assert torch.get_default_dtype() == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_filters_of_warnings_are_as_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TorchScript's loader says that it is deprecated, which is the file's affair and nobody else's."""
    (tmp_path / "model.pt").write_bytes(b"x")
    data = {"modelFormat": "torch", "storageUri": "x", "inputs": DECLARED, "outputs": DECLARED}
    data["trusted"] = True
    overlap = Overlap(lambda: None)

    def load(path: str, **_: Any) -> Any:
        warnings.warn("`torch.jit.load` is deprecated", DeprecationWarning, stacklevel=2)
        overlap.step()
        return SimpleNamespace(eval=lambda: None)

    monkeypatch.setattr(torch.jit, "load", load)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error")
        overlap.run(lambda: create(parse(ModelConfig, data), tmp_path).load())
        with pytest.raises(DeprecationWarning, match="another"):
            warnings.warn("another", DeprecationWarning, stacklevel=1)
