"""The commands of docs/deploy.md: what they name is there, and has been checked."""

import re
import shlex
from pathlib import Path

import pytest

from serve_app.tools.check.verdict import check
from serve_app.tools.cli import main
from tests.package.crd import ROOT

TEXT = (ROOT / "docs/deploy.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
APPLIED = sorted(
    {
        word
        for line in COMMANDS
        if line.startswith("kubectl apply")
        for flag, word in zip(shlex.split(line), shlex.split(line)[1:], strict=False)
        if flag in ("-k", "-f")
    }
)


def test_there_are_commands() -> None:
    assert any(line.startswith("kind create") for line in COMMANDS)
    assert any(line.startswith("curl") for line in COMMANDS)
    assert APPLIED


@pytest.mark.parametrize("path", APPLIED)
def test_what_is_applied_has_been_checked_in_the_text_before(path: str) -> None:
    whole = path if (ROOT / path).is_dir() else str(Path(path).parent)  # a file, with its folder
    applied = re.search(rf"apply -[kf] {re.escape(path)}$", TEXT, re.MULTILINE)
    assert applied
    assert TEXT.index(f"tandem check {whole}") < TEXT.rindex(f"apply -k {whole}")
    assert whole != path or TEXT.index(f"tandem check {path}") < applied.start()
    assert [str(one) for one in check(ROOT / path, None) if one.severity == "error"] == []


def test_every_path_is_there() -> None:
    for path in set(re.findall(r"(?:configs|docs)/[\w./-]+", TEXT)):
        assert (ROOT / path.rstrip("./")).exists(), path
    for path in set(re.findall(r"\]\(([\w./-]+\.md)\)", TEXT)):
        assert (ROOT / "docs" / path).exists(), path


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("tandem ")])
def test_our_own_commands_are_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if line.startswith("tandem check"):
        monkeypatch.chdir(ROOT)
        assert main(shlex.split(line)[1:]) == 0
        return
    with pytest.raises(SystemExit) as ended:
        main([*shlex.split(line)[1:], "--help"])
    assert ended.value.code == 0


def test_the_image_is_the_manifests(tmp_path: Path) -> None:
    (tag,) = set(re.findall(r"-t (tandem:\S+)", TEXT))
    assert f"image: {tag}\n" in (ROOT / "rayservice.yaml").read_text()
