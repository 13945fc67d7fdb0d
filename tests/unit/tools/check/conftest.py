"""The mistakes in a Serve config."""

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.check import load_checked


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
