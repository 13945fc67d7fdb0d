"""A watched file that is saved with a mistake in it: what runs goes on, and so does the watching."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.local import command
from serve_app.tools.local.manifest import Manifest
from tests.unit.tools.check.configs import ROOT

GOOD = (ROOT / "rayservice.yaml").read_text()


class Front:
    """The services, which end when all changes were made."""

    def __init__(self, changes: Iterator[Any]) -> None:
        self._changes = changes

    @property
    def alive(self) -> bool:
        return next(self._changes, self) is not self

    def endpoints(self) -> int:
        return 1


class Operator:
    """Keeps what it was told."""

    active = pending = None
    clusters: tuple[()] = ()

    def __init__(self) -> None:
        self.applied: list[Manifest] = []
        self.troubles: list[Exception] = []

    def apply(self, manifest: Manifest) -> Iterator[str]:
        self.applied.append(manifest)
        yield "applied in place"

    def tick(self) -> Iterator[str]:
        if self.troubles:
            raise self.troubles.pop()
        yield from ()


def save(path: Path, text: str, at: int) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_TURN_S", 0)


MISTAKES = [
    (GOOD.replace("metadata:\n", "metadata: [\n", 1), "not valid YAML"),
    (GOOD.replace("    applications:\n", "    applications: [\n", 1), "not valid YAML"),
    ("a: b: c\n", "service.yaml:1: not valid YAML"),
    ("", "nothing to check"), ("- 1\n", "expected a mapping"), ("\tx: 1\n", "not valid YAML"),
    (GOOD.replace("kind: RayService", "kind: RayServise"), "did you mean RayService?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), MISTAKES)
def test_a_mistake_is_said_and_the_next_change_taken(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, operator = tmp_path / "service.yaml", Operator()

    def changes() -> Iterator[bool]:
        yield True
        save(path, text, 2)
        yield True
        assert operator.applied == []
        save(path, GOOD, 1)  # an older file, put back
        yield True

    save(path, GOOD, 1)
    assert command._loop(path, operator, Front(changes()), None) == 1  # type: ignore[arg-type]
    assert len(operator.applied) == 1
    said = capsys.readouterr().out
    assert says in said
    assert "what was applied before goes on" in said


def test_a_broken_part_of_a_kustomization_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, operator = tmp_path / "base", Operator()
    (tmp_path / "top").mkdir()
    base.mkdir()
    save(base / "service.yaml", GOOD, 1)
    save(base / "kustomization.yaml", "resources: [service.yaml]\n", 1)
    save(tmp_path / "top" / "kustomization.yaml", "resources: [../base]\n", 1)

    def changes() -> Iterator[bool]:
        for file, good in (
            ("base/service.yaml", GOOD),
            ("top/kustomization.yaml", "resources: [../base]\n"),
        ):
            yield True
            save(tmp_path / file, "a: [\n", 2**33)
            yield True
            save(tmp_path / file, good, 2**33 + 1)
            yield True

    assert command._loop(tmp_path / "top", operator, Front(changes()), None) == 1  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert said.count("what was applied before goes on") == 2
    assert f"{base}/service.yaml:" in said
    assert len(operator.applied) == 2


def test_trouble_on_this_machine_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, operator = tmp_path / "service.yaml", Operator()
    save(path, GOOD, 1)
    operator.troubles = [OSError(28, "No space left on device"), ConfigError("no ports left")]
    assert command._loop(path, operator, Front(iter([True] * 3)), None) == 1  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert "no ports left; trying again" in said
    assert "No space left on device; trying again" in said


def test_a_rule_that_fails_itself_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> Manifest:
        raise TypeError("unexpected")

    monkeypatch.setattr(command, "load", fails)
    (tmp_path / "service.yaml").write_text(GOOD)
    with pytest.raises(ConfigError, match="TypeError: unexpected"):
        command._checked(tmp_path / "service.yaml")
