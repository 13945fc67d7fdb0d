"""docs/first-model.md and docs/examples: what the page shows is what the files hold."""

import re
import shlex
from pathlib import Path

import pytest

from serve_app.tools import cli
from serve_app.tools.check.verdict import check
from tests.package.tracked import ROOT, tracked
from tests.serve.examples import KINDS, PAGE, TRAININGS, exchanges

CONFIGS = tracked("docs/examples/*/tandem.yaml")
FILES = {path: path.read_text() for path in (*CONFIGS, *tracked("docs/examples/*/*.py"))}
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if re.match(r"[\w./]+ ", line) and not line.startswith("curl")
]
# What the page tells the reader to change in their own file.
CHANGED = ('      versions: ["1", "2"]\n', "  - name: tandem\n")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_python_is_a_file_s(block: str) -> None:
    assert any(block in text for text in FILES.values()), block


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_yaml_is_a_file_s(block: str) -> None:
    assert block.startswith(CHANGED) or any(block in text for text in FILES.values()), block


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_configs_are_as_they_should_be(path: Path) -> None:
    found = [str(one) for one in check(path, None) if one.severity in ("error", "warning")]
    assert [one for one in found if "models/" not in one] == []  # which the page makes first


def test_every_example_is_trained_copied_and_called() -> None:
    assert {Path(line.split()[0]).parent.name for line in TRAININGS} == KINDS == {
        "sklearn", "torch", "transformers", "image", "python",
    }  # fmt: skip
    assert {f"cp docs/examples/{kind}/tandem.yaml my.yaml" for kind in KINDS} <= set(COMMANDS)
    called = {answer["model_name"] for _, _, answer in exchanges()} | {"reader"}
    served = {re.search(r"storageUri: models/(\w+)", text)[1] for path, text in FILES.items()
              if path.name == "tandem.yaml"}  # type: ignore[index]  # fmt: skip
    assert called == served


@pytest.mark.parametrize("line", [one for one in COMMANDS if one.startswith(".venv/bin/tandem")])
def test_our_commands_are_understood(line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*shlex.split(line)[1:], "--help"])
    assert ended.value.code == 0


def test_make_has_the_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split()[1] for line in COMMANDS if line.startswith("make ")}
    assert targets == {"models", "run"}
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_programs_of_the_page_are_there() -> None:
    programs = set(re.findall(r"docs/examples/[\w/]+\.py", " ".join(COMMANDS)))
    assert programs <= {str(path.relative_to(ROOT)) for path in FILES}


def test_what_the_page_installs_is_what_the_tests_use() -> None:
    (pin,) = re.findall(r"pip install (skl2onnx==\S+)", PAGE)
    assert f"\n{pin} " in (ROOT / "configs/locks/dev.txt").read_text()
