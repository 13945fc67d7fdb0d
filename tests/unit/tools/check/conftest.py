"""The mistakes in a Serve config."""

from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.check import load_checked


@pytest.fixture(autouse=True)
def mine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package `mine`, which has whatever is asked of it."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "mine").mkdir()
    for name in ("__init__", "app", "models", "policies", "routers"):
        (folder / "mine" / f"{name}.py").write_text("def __getattr__(name): ...\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def check(tmp_path):
    def run(text: str) -> list[str]:
        """The mistakes found, without the file's name."""
        path = tmp_path / "serve.yaml"
        path.write_text(text)
        try:
            load_checked(path)
        except ConfigError as error:
            lines = str(error).splitlines()
        else:
            return []
        assert all(line.startswith(f"{path}:") for line in lines)
        return [line.removeprefix(f"{path}:") for line in lines]

    return run
