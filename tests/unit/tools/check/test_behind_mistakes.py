"""Behind what Ray's own validators stumble over the rest is looked at; nothing wrong gets further."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.tools.check.verdict import check

APP = {"name": "a", "route_prefix": "/", "import_path": "m:app"}


def found(folder: Path, config: Any) -> list[tuple[str, str]]:
    (folder / "serve.yaml").write_text(yaml.safe_dump(config))
    every = [one for one in check(folder / "serve.yaml", None) if "no module 'm'" not in one.what]
    assert [one.what for one in every if "ended in" in one.what] == []
    return [(one.place, one.what) for one in every if one.severity == "error"]


def deployed(**more: Any) -> dict[str, Any]:
    return {"applications": [{**APP, "deployments": [{"name": "d", **more}]}]}


def test_what_stands_beside_what_ray_cannot_read(tmp_path: Path) -> None:
    """An entry that is no mapping breaks off Ray's own validation of its application."""
    wrong = {**APP, "route_prefix": 5, "deployments": [False]}
    places = {place for place, _ in found(tmp_path, {"applications": [wrong]})}
    assert places == {"applications[0].route_prefix", "applications[0].deployments[0]"}


def test_two_things_that_ray_cannot_read(tmp_path: Path) -> None:
    wrong = {**APP, "runtime_env": {"working_dir": {}}, "deployments": ["x", {"name": "d"}]}
    places = {place for place, _ in found(tmp_path, {"applications": [wrong]})}
    assert places == {
        "applications[0].runtime_env.working_dir", "applications[0].deployments[0]",
    }  # fmt: skip


def test_a_part_that_ray_reads_by_itself(tmp_path: Path) -> None:
    """Its validator says neither where that is, nor what is wrong elsewhere."""
    gang = {"gang_size": 2, "gang_placement_strategy": {}}
    config = deployed(ray_actor_options={"num_cpus": {}}, gang_scheduling_config=gang)
    before = "applications[0].deployments[0]"
    assert {place for place, _ in found(tmp_path, config)} == {
        f"{before}.gang_scheduling_config.gang_placement_strategy",
        f"{before}.ray_actor_options.num_cpus",
    }  # fmt: skip


def test_several_that_are_no_deployments(tmp_path: Path) -> None:
    wrong = {**APP, "deployments": [1.5, {"name": "d"}, 1.5]}
    places = {
        place for place, _ in found(tmp_path, {"http_options": {"port": {}}, "applications": [wrong]})
    }
    assert places == {
        "http_options.port", "applications[0].deployments[0]", "applications[0].deployments[2]",
    }  # fmt: skip


def test_aliases_are_parts_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "serve.yaml").write_text(
        "applications:\n- name: a\n  import_path: m:app\n  deployments:\n"
        "  - &d {name: d, max_ongoing: 5}\n  - *d\n"
    )
    every = [one for one in check(tmp_path / "serve.yaml", None) if "ended in" in one.what]
    assert every == []


@pytest.mark.parametrize("entry", [None, 1, "a", [1]])
def test_an_entry_that_is_no_application(tmp_path: Path, entry: Any) -> None:
    places = [place for place, _ in found(tmp_path, {"applications": [entry, APP, entry]})]
    assert places == ["applications[0]", "applications[2]"]


@pytest.mark.parametrize("key", ["http_options", "grpc_options"])
def test_a_null_where_a_number_is_needed(tmp_path: Path, key: str) -> None:
    places = [place for place, _ in found(tmp_path, {key: {"port": None}, "applications": [APP]})]
    assert places == [f"{key}.port"]


@pytest.mark.parametrize("value", [[None], [1, "a"], 5, True])
def test_a_form_of_none_of_the_types(tmp_path: Path, value: Any) -> None:
    places = [place for place, _ in found(tmp_path, deployed(autoscaling_config=value))]
    assert places == ["applications[0].deployments[0].autoscaling_config"]
