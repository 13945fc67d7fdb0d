"""A shadow that a model can't have stands where everything stands that isn't served as it is wanted."""

from serve_app.config import Shadow, Traffic
from tests.unit.core.shadow.shadowed import Shadowed


def test_what_is_wrong_is_refused() -> None:
    one = Shadowed()
    refusals, model = one.plane.directory.refusals, one.model
    model.shadow = Shadow.model_validate({"version": "2", "outputs": {"y": {"atol": 1}}})
    assert refusals() == {"m": ""}
    model.shadow = Shadow.model_validate({"version": "3"})
    assert refusals() == {"m": "routing.m.shadow.version: model 'm' has no version 3; known: 1, 2"}
    model.shadow = Shadow.model_validate({"version": "2", "outputs": {"yy": {"atol": 1}}})
    assert (
        "routing.m.shadow.outputs.yy: model 'm' has no output 'yy'; did you mean y?" in refusals()["m"]
    )
    model.direct(None, None)
    model.shadow = Shadow.model_validate({"version": "2"})
    assert "version 2 answers itself" in refusals()["m"]
    model.shadow = Shadow.model_validate({"version": "1"})
    assert refusals() == {"m": ""}
    for weights, text in (({"1": 100, "2": 0}, ""), ({"2": 100}, "version 2 answers itself")):
        model.shadow = Shadow.model_validate({"version": "2"})
        model.direct(None, Traffic.model_validate({"weights": weights}))
        assert text in refusals()["m"]
        assert bool(text) is bool(refusals()["m"])
