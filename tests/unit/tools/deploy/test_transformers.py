"""What `tandem deploy` says became of transformers."""

from typing import Any

from tests.unit.tools.deploy.test_outcomes import A, Json, app, became, config, looked, router, told


def test_classes_around_models() -> None:
    def around(*names: str, **more: Any) -> Json:
        entries = [{"name": name, "class": "a:B", "predictor": "a", **more} for name in names]
        return router(A, transformers=entries)

    before = looked(app(around("same", "gone")), x=told(loaded={"a": 1}))
    why = "a:B can't be loaded: KeyError: 'x'"
    reasons = {"broken": why, "same": ""}
    after = looked(app(around("same", "broken", "fine")), x=told(loaded={"a": 1}, models=reasons))
    assert became(config(around("same", "broken", "fine")), before, after) == {
        "tandem": ("unchanged", ""),
        "a": ("unchanged", ""),
        "same": ("unchanged", ""),
        "broken": ("refused", why),
        "fine": ("new", ""),
        "gone": ("removed", ""),
    }
