"""Which nodes the services in front of a cluster lead to."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.tools.local import operator as module


class Cluster:
    """One that runs when it is told to."""

    running = False

    def __init__(self, *_: Any) -> None:
        self.name, self.manifest = "x", SimpleNamespace(grown_from=lambda other: True)
        self.head = SimpleNamespace(name="head")

    def tick(self) -> list[str]:
        return []

    def ready(self) -> list[Any]:
        return [self.head]


class Front:
    def __init__(self) -> None:
        self.shown: Any = None

    def show(self, nodes: Any, head: Any) -> None:
        self.shown = [node.name for node in nodes], head.name


def test_the_dashboard_is_there_before_anything_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks why nothing is served asks there."""
    monkeypatch.setattr(module, "Cluster", Cluster)
    monkeypatch.setattr(module, "own_token", lambda: "secret")
    manifest: Any = SimpleNamespace(grown_from=lambda other: True, token=False)
    front: Any = Front()
    operator = module.Operator(manifest, tmp_path, None, front)  # type: ignore[arg-type]
    assert list(operator.tick()) == ["x is made"]
    assert front.shown == ([], "head")
    operator.pending.running = True  # type: ignore[union-attr, misc]
    list(operator.tick())
    assert front.shown == (["head"], "head")
