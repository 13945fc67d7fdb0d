"""Versions that `routing` names: those of traffic and of rollouts."""

from pathlib import Path

import pytest

from serve_app.tools.check.verdict import check as verdict
from tests.unit.tools.check.configs import changed, line_of


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which model `one` has versions 1 and 3."""
    monkeypatch.chdir(tmp_path)
    for version in "13":
        (tmp_path / "models/one" / version).mkdir(parents=True)
        (tmp_path / "models/one" / version / "model.onnx").touch()
    (tmp_path / "models/text/1").mkdir(parents=True)
    (tmp_path / "models/text/1/config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("traffic", "place"),
    [("weights: {1: 99, 7: 1}", "weights.7"),
     ("match: [{header: a, version: 7}]", "match[0].version"),
     ("weights: {1: 100, 3: 0}", "")],
)  # fmt: skip
def test_versions_that_traffic_names(one: Path, traffic: str, place: str) -> None:
    text = changed('one: {defaultVersion: "1"}', f"one: {{traffic: {{{traffic}}}}}")
    text = text.replace("models/two", "models/text").replace('defaultVersion: "2"', "defaultVersion: 1")
    (one / "a.yaml").write_text(text)
    found = list(verdict(one / "a.yaml", None))
    assert len(found) == bool(place), found
    for what in found:
        assert what.place.endswith(f"routing.one.traffic.{place}")
        assert what.what == "model 'one' has no version 7; known: 1, 3"
        assert what.line == line_of(text, "traffic:")


ROLLOUT = "{version: %s, steps: [{weight: 5, duration: 60}], metrics: [{kind: errorRate, margin: 0.01}]}"


@pytest.mark.parametrize(
    ("version", "admin", "place", "says"),
    [("3", True, "", ""), ("7", True, "rollout.version", "model 'one' has no version 7; known: 1, 3"),
     ("3", False, "rollout", "a rollout is kept by a Steward")],
)  # fmt: skip
def test_rollouts(one: Path, version: str, admin: bool, place: str, says: str) -> None:
    text = changed('one: {defaultVersion: "1"}', f"one: {{rollout: {ROLLOUT % version}}}")
    text = text.replace("models/two", "models/text").replace('defaultVersion: "2"', "defaultVersion: 1")
    if admin:
        text = text.replace("{maxOngoingRequests: 100}", "{maxOngoingRequests: 100, admin: {}}")
    (one / "a.yaml").write_text(text)
    found = [it for it in verdict(one / "a.yaml", None) if "rollout" in it.place]
    assert len(found) == bool(place), found
    for what in found:
        assert what.place.endswith(f"routing.one.{place}")
        assert says in what.what
