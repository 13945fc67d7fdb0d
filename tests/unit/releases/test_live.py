"""Who wins: a configuration that is deployed anew, or what was done to a model since."""

import pytest

from serve_app.config import RouterUserConfig, parse
from serve_app.errors import ConfigError
from serve_app.releases.live import ENTRY, Live, LiveTraffic, directed, merged, overruled, parts

CLASS = "tests.unit.models:Double"


def entry(name="a", **more) -> dict:
    return {"name": name, "modelFormat": "python", "class": CLASS, **more}


def base(*models: dict, **more) -> RouterUserConfig:
    return parse(RouterUserConfig, {"models": list(models), **more})


def nowhere(digest: str) -> str:
    raise ConfigError(f"the files of upload {digest} aren't here")


def over(config: RouterUserConfig, name="a", apps=None) -> dict[str, str]:
    return parts(config.models, apps or {}).get(name, {})


@pytest.mark.parametrize(
    ("was", "now", "lost"),
    [
        ({ENTRY: "x"}, {ENTRY: "x"}, False),
        ({ENTRY: "x"}, {ENTRY: "y"}, True),
        ({ENTRY: "x"}, {}, True),  # its entry went away
        ({}, {}, False),  # a model that only a request brought
        ({}, {ENTRY: "x"}, True),  # and that the configuration has now
        ({}, {"app": "x"}, True),
        ({"app": "x"}, {"app": "x"}, False),
        ({"app": "x"}, {"app": "y"}, True),
        ({"app": "x"}, {}, False),  # Serve doesn't speak of it yet
        ({"app": "x"}, {"app": "x", "other": "z"}, True),
        ({"app": "x", "other": "z"}, {"other": "z"}, False),
        ({ENTRY: "x"}, {ENTRY: "x", "app": "y"}, True),  # it moves to processes of its own
    ],
)
def test_a_deploy_that_changes_what_configures_a_model_wins(was, now, lost):
    assert overruled(was, now) is lost


def test_without_live_changes_it_is_the_configuration():
    config = base(entry("a"), entry("b"), generation=7)
    made = merged(config, {"c": {"c": "x"}}, {}, nowhere)
    assert made.config == config
    assert (made.off, made.reasons, made.overruled) == (frozenset(), {}, frozenset())


def test_an_unloaded_model_isnt_there_and_the_others_are():
    config = base(entry("a"), entry("b"))
    made = merged(config, {}, {"a": Live(over(config), off=True)}, nowhere)
    assert [model.name for model in made.config.models] == ["b"]
    assert made.off == {"a"}


def test_an_entry_takes_the_place_of_the_configurations_one():
    config = base(entry("a", options={"by": 2}), entry("b"), limits={"timeout": 5})
    live = Live(over(config), entry("a", options={"by": 3}))
    made = merged(config, {}, {"a": live}, nowhere)
    assert [(model.name, model.options) for model in made.config.models] == [("a", {"by": 3}), ("b", {})]
    assert made.config.limits.timeout == 5


def test_a_deploy_of_another_key_keeps_it_and_one_of_the_models_entry_drops_it():
    before = base(entry("a"), entry("b"))
    layer = {"a": Live(over(before), off=True)}
    kept = merged(base(entry("a"), entry("b", concurrency=2), generation=9), {}, layer, nowhere)
    assert (kept.off, kept.overruled) == ({"a"}, frozenset())
    dropped = merged(base(entry("a", revision="2"), entry("b")), {}, layer, nowhere)
    assert (dropped.off, dropped.overruled) == (frozenset(), {"a"})
    assert [model.name for model in dropped.config.models] == ["a", "b"]


def test_how_an_entry_is_written_is_no_change():
    wordy = base(entry("a", batching=None, concurrency=1, versions="all"))
    assert over(wordy) == over(base(entry("a")))


def test_a_new_model_is_behind_those_of_the_configuration():
    config = base(entry("z"))
    made = merged(config, {}, {"a": Live({}, entry("a"))}, nowhere)
    assert [model.name for model in made.config.models] == ["z", "a"]


def test_files_that_came_are_where_they_were_published():
    live = Live({}, {"modelFormat": "onnx"}, upload="d1")
    made = merged(base(), {}, {"a": live}, lambda digest: f"/uploads/{digest}")
    assert made.config.models[0].storage_uri == "/uploads/d1"


def test_what_cant_be_had_says_why_and_the_configurations_entry_serves():
    config = base(entry("a"))
    live = Live(over(config), {"modelFormat": "onnx"}, upload="d1")
    made = merged(config, {}, {"a": live}, nowhere)
    assert [model.model_format for model in made.config.models] == ["python"]
    assert "d1" in made.reasons["a"]


def test_a_model_with_processes_of_its_own_is_only_named():
    made = merged(base(), {"r": {"r": "x"}}, {"r": Live({"r": "x"}, off=True)}, nowhere)
    assert made.off == {"r"}
    assert merged(base(), {"r": {"r": "y"}}, {"r": Live({"r": "x"}, off=True)}, nowhere).off == set()


def test_a_shadow_that_was_promoted_is_none_any_more():
    said = {"routing": {"m": {"traffic": {"weights": {"1": 100}}, "shadow": {"version": "2"}}}}
    base = parse(RouterUserConfig, said)

    def shadowed(weights: dict) -> object:
        shares = {"m": LiveTraffic(directed(base, "m"), {"weights": weights})}
        return merged(base, {}, {}, str, shares).config.routing["m"].shadow

    assert shadowed({"1": 50, "2": 50}) == base.routing["m"].shadow
    assert shadowed({"2": 100, "1": 0}) is None
