"""Kustomizations are built, and what cannot be built says why."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.kustomize import build


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        text = data if isinstance(data, str) else yaml.safe_dump(data)
        (folder / f"{name}.yaml").write_text(text)
    return folder


THING = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  image: 'im:1'\n"


def test_kustomizations_are_built(tmp_path: Path) -> None:
    write(tmp_path / "base", thing=THING, kustomization={"resources": ["thing.yaml"], "namespace": "ns"})
    patch = "- {op: replace, path: /data/x, value: '2'}\n- {op: add, path: /data/y, value: '3'}\n"
    top = write(
        tmp_path / "top",
        kustomization={
            "resources": ["../base"],
            "patches": [{"target": {"kind": "ConfigMap"}, "patch": patch}],
            "images": [{"name": "im", "newTag": "9"}],
        },
    )
    (one,) = build(top)
    assert one.data["data"] == {"x": "2", "y": "3", "image": "im:9"}
    assert one.data["metadata"]["namespace"] == "ns"
    assert one.report.line(("data", "x")) == 6  # of the base's file
    assert list(check(top, None)) == []


def test_a_patch_of_several_is_applied_to_each(tmp_path: Path) -> None:
    things = THING + "---\n" + THING.replace("name: a", "name: b")
    patch = (
        "- {op: test, path: /data/x, value: '1'}\n- {op: add, path: /data/list, value: [{image: im}]}\n"
    )
    patch += (
        "- {op: add, path: /data/list/-, value: a/b}\n- {op: move, from: /data/x, path: /data/x~1y}\n"
    )
    image = {"name": "im", "newTag": "9"}
    write(
        tmp_path,
        thing=things,
        kustomization={"resources": ["thing.yaml"], "patches": [{"patch": patch}], "images": [image]},
    )
    one, other = build(tmp_path)
    assert one.data["data"] == {"image": "im:9", "list": [{"image": "im:9"}, "a/b"], "x/y": "1"}
    assert other.data["data"] == one.data["data"]
    assert other.data["data"]["list"][0] is not one.data["data"]["list"][0]


@pytest.mark.parametrize(
    ("kustomization", "words"),
    [
        ({"resources": ["none.yaml"]}, "No such file"),
        ("namespace: n\n", "namespace is False, not text"),  # as kubectl says of it
        ({"resources": ["https://example.com/x.yaml"]}, "not on this machine"),
        (
            {"resources": ["thing.yaml"], "patches": [{"target": {"kind": "Pod"}, "patch": "[]"}]},
            "not there",
        ),
        (
            {"resources": ["thing.yaml"], "patches": [{"patch": "- {op: remove, path: /data/zz}"}]},
            "/data/zz is not there",
        ),
        (
            {"resources": ["thing.yaml"], "patches": [{"patch": "- {op: add, path: /no/x, value: 1}"}]},
            "/no/x is not there",
        ),
        (
            {"resources": ["thing.yaml"], "patches": [{"patch": "- {op: put, path: /data/x}"}]},
            "Unknown operation 'put'",
        ),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"patch": "- {op: test, path: /data/x, value: 2}"}],
            },
            "not equal to tested value",
        ),
    ],
)
def test_kustomizations_that_cannot_be_built(
    tmp_path: Path, kustomization: dict[str, Any] | str, words: str
) -> None:
    write(tmp_path / "k", thing=THING, kustomization=kustomization)
    with pytest.raises(ConfigError, match=words):
        build(tmp_path / "k")


PLACED = {"metadata": {"name": "a"}, "data": {"x": "2"}, "apiVersion": "v1", "kind": "ConfigMap"}


@pytest.mark.parametrize(
    "more", [{"patches": [{"patch": yaml.safe_dump(PLACED)}]}, {"commonAnnotations": {"a": "b"}}]
)
def test_what_kustomize_itself_has_to_build(
    tmp_path: Path, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, thing=THING, kustomization={"resources": ["thing.yaml"], **more})
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match="install kustomize or kubectl to check this"):
        build(tmp_path)


def test_words_are_text_in_resources_and_not_in_patches(tmp_path: Path) -> None:
    """As `kubectl kustomize` builds it."""
    thing = THING.replace("x: '1'", "x: yes\n  y: 08")
    patch = "- {op: add, path: /data/z, value: yes}"
    write(
        tmp_path, thing=thing, kustomization={"resources": ["thing.yaml"], "patches": [{"patch": patch}]}
    )
    (one,) = build(tmp_path)
    assert one.data["data"] == {"x": "yes", "y": 8, "z": True, "image": "im:1"}


def test_dates_in_patches_are_text(tmp_path: Path) -> None:
    patch = "- {op: replace, path: /data/x, value: 2026-01-01}"
    write(
        tmp_path, thing=THING, kustomization={"resources": ["thing.yaml"], "patches": [{"patch": patch}]}
    )
    (one,) = build(tmp_path)
    assert one.data["data"]["x"] == "2026-01-01"
