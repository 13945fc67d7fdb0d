"""A user's own models, configs and programs: no check of the repository looks at them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.package import tracked as module
from tests.package.tracked import ROOT, is_checkout, tracked

pytestmark = pytest.mark.skipif(not is_checkout(), reason="not a git checkout")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one config, and a user's files in it."""
    needed = ("pyproject.toml", "configs/locks/serve.txt", "configs/locks/dev.txt")  # by make
    overlay = "configs/k8s/overlays/{}/kustomization.yaml"
    theirs = (overlay.format("theirs"), "configs/theirs.yaml", "models/own/1/model.onnx", "my.yaml")
    for name in (*needed, *theirs, "configs/ours.yaml", overlay.format("ours")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for command in (["init", "-q"], ["add", "Makefile", "configs/ours.yaml", overlay.format("ours")]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def test_only_what_git_tracks(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOT", checkout)
    assert {path.name for path in tracked.__wrapped__("**")} == {
        "Makefile", "ours.yaml", "kustomization.yaml",
    }  # fmt: skip
    assert tracked.__wrapped__("configs/*.yaml") == [checkout / "configs/ours.yaml"]


def test_without_git_whatever_is_there(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(checkout / ".git")
    monkeypatch.setattr(module, "ROOT", checkout)
    found = tracked.__wrapped__("configs/*.yaml")
    assert [path.name for path in found] == ["ours.yaml", "theirs.yaml"]


def test_make_check_leaves_a_users_configs_alone(checkout: Path) -> None:
    done = subprocess.run(
        ["make", "-n", "check"], cwd=checkout, capture_output=True, text=True, timeout=60, check=True
    )
    (line,) = [line for line in done.stdout.splitlines() if "tandem check rayservice.yaml" in line]
    assert "configs/ours.yaml" in done.stdout
    assert "configs/k8s/overlays/ours/" in done.stdout
    assert "theirs" not in done.stdout, line


def test_models_of_ones_own_have_a_folder_that_git_ignores() -> None:
    command = ["git", "check-ignore", "-q", "models/my-model/1/model.onnx"]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 0


def test_no_merge_was_left_half_done() -> None:
    marks = re.compile(rb"^(<{7}|>{7}|={7})( |$)", re.MULTILINE)
    assert [str(path) for path in tracked("**") if marks.search(path.read_bytes())] == []
