"""Components of kustomizations, and ConfigMaps that are made of files."""

from pathlib import Path
from typing import Any

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.kube.kustomize import build
from tests.unit.tools.kustomized import THING, write


def test_a_component_brings_resources_and_patches_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "part", more=THING.replace("name: a", "name: b"), kustomization={
        "kind": "Component", "resources": ["more.yaml"],
        "patches": [
            {"patch": "- {op: add, path: /data/z, value: '3'}", "target": {"kind": "ConfigMap"}},
        ],
    })  # fmt: skip
    top = write(
        tmp_path / "top",
        thing=THING,
        kustomization={"resources": ["thing.yaml"], "components": ["../part"]},
    )
    assert [(one.name, one.data["data"]["z"]) for one in build(top)] == [("a", "3"), ("b", "3")]


GENERATOR = {
    "name": "g",
    "files": ["x.json", "y=deep/z.txt"],
    "options": {"disableNameSuffixHash": True},
}


def test_configmaps_are_made_of_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "x.json").write_text('{"a": 1}')
    (tmp_path / "deep/z.txt").write_text("z\n")
    labelled = {**GENERATOR, "options": {**GENERATOR["options"], "labels": {"l": "1"}}}
    write(tmp_path, kustomization={"namespace": "ns", "configMapGenerator": [labelled]})
    (one,) = build(tmp_path)
    assert one.data["data"] == {"x.json": '{"a": 1}', "y": "z\n"}
    assert one.data["metadata"] == {"name": "g", "namespace": "ns", "labels": {"l": "1"}}


@pytest.mark.parametrize("changed", [{"options": {}}, {"literals": ["a=b"]}])
def test_configmaps_that_kustomize_itself_has_to_make(
    tmp_path: Path, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    write(tmp_path, kustomization={"configMapGenerator": [{**GENERATOR, "files": [], **changed}]})
    with pytest.raises(ConfigError, match=r"configMapGenerator: .*install kustomize or kubectl"):
        build(tmp_path)
