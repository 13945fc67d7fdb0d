"""Shadows that a model can't have."""

import pytest

from serve_app.config import Shadow
from serve_app.routing.shadowed import refused

BOTH = {"1": ["scores", "label"], "2": ["scores", "label"]}


def shadow(**more: object) -> Shadow:
    return Shadow.model_validate({"version": "2", **more})


def test_a_right_one() -> None:
    assert refused("m", shadow(outputs={"scores": {"atol": 1}}), BOTH, "1") == ""
    assert refused("m", shadow(), BOTH, None) == ""
    assert refused("m", shadow(outputs={"new": {}}), {**BOTH, "2": ["new"]}, "1") == ""


@pytest.mark.parametrize(
    ("given", "versions", "answers", "text"),
    [
        (
            shadow(version=21), BOTH, "1",
            "routing.m.shadow.version: model 'm' has no version 21; did you mean 2?",
        ),
        (shadow(version=9), BOTH, "1", "has no version 9; known: 1, 2"),
        (shadow(), {"2": []}, "2", "version 2 is the only one of model 'm': nothing else answers"),
        (shadow(), BOTH, "2", "2 answers itself: defaultVersion, or traffic, has to name another one"),
        (
            shadow(outputs={"score": {"atol": 1}}), BOTH, "1",
            "routing.m.shadow.outputs.score: model 'm' has no output 'score'; did you mean scores?",
        ),
    ],
)  # fmt: skip
def test_a_wrong_one(given: Shadow, versions: dict[str, list[str]], answers: str, text: str) -> None:
    assert text in refused("m", given, versions, answers)


def test_outputs_that_nobody_knows() -> None:
    assert refused("m", shadow(outputs={"any": {"atol": 1}}), {"1": [], "2": ["y"]}, "1") == ""
