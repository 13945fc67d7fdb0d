"""One mistake, one finding."""

from pathlib import Path

import pytest

from serve_app.tools.check.once import REFUSED, misspelt, news
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.findings import Problem


def test_a_required_field_that_is_misspelt() -> None:
    unknown = [Problem(("spec", "ky"), "unknown field; did you mean key?", REFUSED, "key")]
    absent = [
        Problem(("spec",), f"'{name}' is required, but not there", REFUSED) for name in ("key", "b")
    ]
    assert misspelt(unknown, absent) == absent[1:]


def test_what_the_api_server_refuses_never_comes_to_the_operator() -> None:
    found = [
        Problem(("spec", "delay"), "-1 is less than the minimum of 0", REFUSED),
        Problem(("spec",), "'head' is required, but not there", REFUSED),
        Problem(("spec", "name"), "too long", "a rule of the CRD"),
    ]
    more = [
        Problem(("spec", "delay"), "-1 is negative"),
        Problem(("spec", "head", "template"), "a group needs a container"),
        Problem(("spec", "name"), "another"),
        Problem(("spec",), "no serveConfigV2"),
    ]
    assert news(found, more) == more[2:]


def test_a_mapping_where_a_list_should_be(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
        "  - name: a\n    image: a\n    env: {A: x}\n    porst: []\n"
    )
    found = [(one.line, one.what) for one in check(tmp_path / "a.yaml", None)]
    assert found == [(8, "expected array, got a mapping"), (9, "unknown field; did you mean ports?")]


@pytest.mark.parametrize(
    ("head", "at", "says"),
    [
        ("apiVersion: ray.io/v1\nkind: RayServise", 2, "did you mean RayService?"),
        ("apiVersion: ray.io/v1\nkind: raycluster", 2, "did you mean RayCluster?"),
        ("apiVersion: rayio/v1\nkind: RayService", 1, "that of ray.io is another"),
        ("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceServices", 2, "InferenceService?"),
        ("apiVersion: serving.kubeflow.org/v1beta1\nkind: InferenceService", 1, "serving.kserve.io"),
        ("apiVersion: ray.io/v2\nkind: RayService", 1, "ray.io has no version 'v2'"),
        ("apiVersion: app/v1\nkind: Deployment", 1, "did you mean apps/v1?"),
        ("apiVersion: apps/v1\nkind: Deploymnet", 2, "did you mean Deployment?"),
        ("apiVersion: v1\nkind: Deployment", 1, "it is in apps/v1"),
    ],
)
def test_a_kind_that_is_nearly_one(tmp_path: Path, head: str, at: int, says: str) -> None:
    (tmp_path / "a.yaml").write_text(f"{head}\nmetadata: {{name: a}}\nspec: {{}}\n")
    found = [
        one for one in check(tmp_path / "a.yaml", None) if says in one.what and one.severity != "note"
    ]
    assert [(one.line, one.severity) for one in found] == [(at, "error")]


@pytest.mark.parametrize("kind", ["RayCronJob", "LLMInferenceService", "LocalModelNode"])
def test_a_kind_that_is_another_one(tmp_path: Path, kind: str) -> None:
    group = "ray.io" if kind.startswith("Ray") else "serving.kserve.io"
    (tmp_path / "a.yaml").write_text(f"apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: a}}\n")
    assert not any("did you mean" in one.what for one in check(tmp_path / "a.yaml", None))
