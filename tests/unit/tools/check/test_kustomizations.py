"""Kustomizations are built, and what cannot be built says why."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.documents import read
from serve_app.tools.kube.kustomize import build
from tests.unit.tools.check.configs import ROOT
from tests.unit.tools.kustomized import THING, write

ANY = {"kind": "ConfigMap"}


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
    assert one.report.line(("data", "image")) == 7  # of the base's file
    assert one.report.file_of(("data", "x")) == str(top / "kustomization.yaml")
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
        kustomization={
            "resources": ["thing.yaml"],
            "patches": [{"target": ANY, "patch": patch}],
            "images": [image],
        },
    )
    one, other = build(tmp_path)
    assert one.data["data"] == {"image": "im:9", "list": [{"image": "im:9"}, "a/b"], "x/y": "1"}
    assert other.data["data"] == one.data["data"]
    assert other.data["data"]["list"][0] is not one.data["data"]["list"][0]


@pytest.mark.parametrize(
    ("kustomization", "words"),
    [
        ({"resources": ["none.yaml"]}, "No such file"),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"patch": "- {op: add, path: /data/y, value: z}"}],
            },
            "needs a target",  # as kubectl says
        ),
        ("namespace: n\n", "namespace is False, not text"),  # as kubectl says of it
        ({"resources": ["https://example.com/x.yaml"]}, "not on this machine"),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"patch": "kind: Pod\nmetadata: {name: b}\nx: 1"}],
            },
            "not there",
        ),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"target": ANY, "patch": "- {op: remove, path: /data/zz}"}],
            },
            "/data/zz is not there",
        ),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"target": ANY, "patch": "- {op: add, path: /no/x, value: 1}"}],
            },
            "/no/x is not there",
        ),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"target": ANY, "patch": "- {op: put, path: /data/x}"}],
            },
            "Unknown operation 'put'",
        ),
        (
            {
                "resources": ["thing.yaml"],
                "patches": [{"target": ANY, "patch": "- {op: test, path: /data/x, value: 2}"}],
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


PLACED = {"metadata": {"name": "a"}, "data": {"x": ["2"]}, "apiVersion": "v1", "kind": "ConfigMap"}


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


@pytest.mark.parametrize(
    "said",
    ['E1129 12:28:18.382382   20579 run.go:72] "command failed" err=<\n\tno such: a\n >', "no such: a"],
)
def test_what_it_says_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Without what a log has around it."""
    write(tmp_path, thing=THING, kustomization={"resources": ["thing.yaml"], "commonAnnotations": {}})
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "kubectl"
    program.write_text(f"#!/bin/sh\n/bin/cat >&2 <<'END'\n{said}\nEND\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(ConfigError) as caught:
        build(tmp_path)
    assert str(caught.value) == f"{tmp_path}: no such: a"


def test_words_are_text_in_resources_and_not_in_patches(tmp_path: Path) -> None:
    """As `kubectl kustomize` builds it."""
    thing = THING.replace("x: '1'", "x: yes\n  y: 08")
    patch = "- {op: add, path: /data/z, value: yes}"
    write(
        tmp_path,
        thing=thing,
        kustomization={"resources": ["thing.yaml"], "patches": [{"target": ANY, "patch": patch}]},
    )
    (one,) = build(tmp_path)
    assert one.data["data"] == {"x": "yes", "y": 8, "z": True, "image": "im:1"}


def test_dates_in_patches_are_text(tmp_path: Path) -> None:
    patch = "- {op: replace, path: /data/x, value: 2026-01-01}"
    write(
        tmp_path,
        thing=THING,
        kustomization={"resources": ["thing.yaml"], "patches": [{"target": ANY, "patch": patch}]},
    )
    (one,) = build(tmp_path)
    assert one.data["data"]["x"] == "2026-01-01"


SERVICE = """\
apiVersion: ray.io/v1
kind: RayService
metadata: {name: a}
spec:
  serveConfigV2: |
    applications: []
  rayClusterConfig:
    headGroupSpec: {rayStartParams: {}}
    workerGroupSpecs:
      - {groupName: one, replicas: 1}
      - {groupName: two, replicas: 1}
"""
CONFIG = """\
applications:
  - name: tandem
    import_path: serve_app.app:build_ruoter
    route_prefix: /
"""


def block(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


OPERATION = f"""\
# A comment moves the lines.
- op: replace
  path: /spec/serveConfigV2
  value: |
{block(CONFIG, 4)}"""
MERGED = f"""\
apiVersion: ray.io/v1
kind: RayService
metadata: {{name: a}}
spec:
  serveConfigV2: |
{block(CONFIG, 4)}"""


WITH = "commonAnnotations: {a: b}\nnamePrefix: x-\n"  # of which only kustomize knows


@pytest.mark.parametrize("text", [OPERATION, MERGED])
@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("more", ["", WITH])
def test_a_mistake_that_a_patch_brings_stands_in_the_patch(
    tmp_path: Path, text: str, inline: bool, more: str
) -> None:
    if more and shutil.which("kubectl") is None:
        pytest.skip("no kubectl")
    target = "- target: {kind: RayService}\n    "
    given = f"patch: |\n{block(text, 6)}" if inline else "path: patch.yaml\n"
    write(
        tmp_path, service=SERVICE, patch=text,
        kustomization=f"{more}resources: [service.yaml]\npatches:\n  {target}{given}",
    )  # fmt: skip
    (one,) = [
        one for one in check(tmp_path, None) if "did you mean serve_app.app:build_router?" in one.what
    ]
    file = Path(one.file)
    assert file.name == ("kustomization.yaml" if inline else "patch.yaml")
    assert "build_ruoter" in file.read_text().splitlines()[one.line - 1]


def test_places_move_with_the_entries_of_a_list(tmp_path: Path) -> None:
    operations = """\
- {op: add, path: /spec/rayClusterConfig/workerGroupSpecs/0, value: {groupName: new}}
- {op: add, path: /spec/rayClusterConfig/workerGroupSpecs/-, value: {groupName: last}}
- {op: remove, path: /spec/rayClusterConfig/workerGroupSpecs/1}
- {op: add, path: /spec/rayClusterConfig/headGroupSpec/serviceType, value: NodePort}
"""
    write(
        tmp_path, service=SERVICE, patch=operations,
        kustomization="resources: [service.yaml]\npatches: [{target: {name: a}, path: patch.yaml}]\n",
    )  # fmt: skip
    (one,) = build(tmp_path)
    groups = one.data["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert [group["groupName"] for group in groups] == ["new", "two", "last"]
    around = ("spec", "rayClusterConfig", "workerGroupSpecs")
    places = [(*around, index, "groupName") for index in range(3)]
    assert [(Path(one.report.file_of(at)).name, one.report.line(at)) for at in places] == [
        ("patch.yaml", 1), ("service.yaml", 11), ("patch.yaml", 2),
    ]  # fmt: skip
    head = ("spec", "rayClusterConfig", "headGroupSpec")
    assert one.report.file_of((*head, "serviceType")).endswith("patch.yaml")
    assert one.report.file_of((*head, "rayStartParams")).endswith("service.yaml")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
@pytest.mark.parametrize("overlay", ["dev", "ha", "gpu", "incremental"])
def test_builds_are_as_kubectls(overlay: str) -> None:
    folder = ROOT / "configs/k8s/overlays" / overlay
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = {(one.kind, one.name): one.data for one in read(Path("-"), done.stdout)}
    assert {(one.kind, one.name): one.data for one in build(folder)} == theirs


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
def test_a_part_of_a_custom_resource_is_merged_as_kubectl_does(tmp_path: Path) -> None:
    """https://kubernetes.io/docs/tasks/manage-kubernetes-objects/kustomization: lists are replaced."""
    patch = """\
apiVersion: ray.io/v1
kind: RayService
metadata: {name: a, labels: {x: 'y'}}
spec:
  serveConfigV2: null
  rayClusterConfig:
    rayVersion: 2.60.0
    headGroupSpec: {serviceType: NodePort}
    workerGroupSpecs: [{groupName: only}]
"""
    write(
        tmp_path, service=SERVICE, patch=patch,
        kustomization="resources: [service.yaml]\npatches: [{path: patch.yaml}]\n",
    )  # fmt: skip
    done = subprocess.run(
        ["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, check=True
    )
    (ours,), (theirs,) = build(tmp_path), read(Path("-"), done.stdout)
    assert ours.data == theirs.data
