"""Python's garbage collector while models load."""

import gc

import pytest

from serve_app.config import InlineModel
from serve_app.errors import ConfigError
from serve_app.runtimes import one_version
from serve_app.runtimes.freeze_gc import freeze_gc, paused_gc
from serve_app.runtimes.host import ModelHost


def test_it_is_on_again_whatever_happens() -> None:
    with pytest.raises(ZeroDivisionError), paused_gc():
        gc.isenabled() / 0
    assert gc.isenabled()


def test_what_a_load_that_never_returns_has_paused_goes_on() -> None:
    gc.disable()
    freeze_gc(5_000)
    assert gc.isenabled()


def test_who_has_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with paused_gc():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


class Loads:
    """Notes whether it is on while this loads, and breaks off."""

    seen: list[bool]

    def load(self) -> None:
        self.seen.append(gc.isenabled())
        raise ConfigError("enough")


@pytest.mark.parametrize(("kind", "on"), [("onnx", False), ("python", True)])
def test_it_is_off_while_a_framework_loads_and_on_in_a_class_of_the_user_s(
    kind: str, on: bool, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Loads.seen = []
    monkeypatch.setattr(one_version, "create", lambda *_, **__: Loads())
    (tmp_path / "1").mkdir()
    config = {"name": "m", "modelFormat": kind, "storageUri": str(tmp_path)}
    if kind == "python":
        config["class"] = "tests.unit.models:Nobody"
    else:
        (tmp_path / "1" / "model.onnx").touch()
    with pytest.raises(ConfigError, match="enough"):
        ModelHost(InlineModel.model_validate(config), gpu=False).load()
    assert Loads.seen == [on]
    assert gc.isenabled()
