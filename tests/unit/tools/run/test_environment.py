"""What `tandem run` sets before Ray is imported."""

import os
from pathlib import Path

import pytest

from serve_app.tools.run.environment import python_path


def test_a_class_in_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert python_path() == str(tmp_path)


def test_what_the_user_set_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/lib/mine", str(tmp_path), ""]))
    assert python_path().split(os.pathsep) == ["/lib/mine", str(tmp_path)]
