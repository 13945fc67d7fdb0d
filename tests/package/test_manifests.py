"""Every manifest of the repository: through `tandem check`, and each kind against its own schema."""

import copy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from serve_app.tools.check.crds import Crds
from serve_app.tools.check.verdict import check
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.kustomize import NAMES, build
from serve_app.tools.kube.sources import documents
from tests.package import gateway_api
from tests.package.crd import ROOT, crd_folder
from tests.package.strict import strict
from tests.package.tracked import tracked

# What neither KubeRay, KServe nor Kubernetes defines: from whom its model comes.
_MODELS = {
    "VirtualService": "cloudcoil.models.istio.networking.v1:VirtualService",
    "DestinationRule": "cloudcoil.models.istio.networking.v1:DestinationRule",
    "PodMonitor": "cloudcoil.models.prometheus_operator.v1:PodMonitor",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1:PrometheusRule",
    "WorkflowTemplate": "hera.workflows.models:WorkflowTemplate",
}
_BUILDS = sorted(path.parent for name in NAMES for path in tracked(f"configs/**/{name}"))


def _paths() -> list[Path]:
    """Each kustomization, and each file that is in none."""
    loose = [
        path
        for path in tracked("configs/**/*.yaml")
        if not any(build in path.parents for build in _BUILDS)
    ]
    return [ROOT / "rayservice.yaml", *_BUILDS, *loose]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def crds() -> Crds:
    return Crds(crd_folder())


@pytest.mark.parametrize("path", _paths(), ids=_name)
def test_check_finds_nothing(path: Path, crds: Crds) -> None:
    wrong = [str(one) for one in check(path, crds) if one.severity == "error"]
    if not (ROOT / ".models" / "llm").exists():  # `make test` doesn't make it
        wrong = [one for one in wrong if "make llm" not in one]
    assert wrong == []


@pytest.mark.parametrize("path", _paths(), ids=_name)
def test_no_warning_that_is_not_meant(path: Path, crds: Crds) -> None:
    found = {one.what for one in check(path, crds) if one.severity == "warning"}
    if path.parent.name in ("kserve", "more"):  # KServe runs these, Tandem needn't
        found = {what for what in found if not what.startswith("Tandem: ")}
    meant = {
        "no pod here has tandem-client=true"
    }  # of the network policies: clients are somebody else's
    if path.name == "incremental":  # it has the GRPCRoute that this asks for
        meant.add(
            "the operator's gateway routes HTTP alone: gRPC on `serve-grpc` is not moved step by step"
        )
    assert found <= meant


def _foreign() -> Iterator[Any]:
    for path in _paths():
        for one in documents(path):
            if one.kind in _MODELS or one.group == "gateway.networking.k8s.io":
                yield pytest.param(one, id=f"{_name(path)}-{one.kind}-{one.name}")


def validator(one: Document) -> Draft202012Validator:
    """Of a kind that the CRDs at hand don't define."""
    if one.group == "gateway.networking.k8s.io":
        model: Any = getattr(gateway_api, one.kind)
    else:
        module, _, name = _MODELS[one.kind].partition(":")
        model = getattr(pytest.importorskip(module), name)
    return Draft202012Validator(strict(TypeAdapter(model).json_schema()))


def _broken(one: Document) -> dict[str, Any]:
    broken = copy.deepcopy(one.data)
    broken["spec"]["sepcial"] = 1
    return broken


@pytest.mark.parametrize("one", list(_foreign()))
def test_others_kinds_fit_their_models(one: Document) -> None:
    assert list(validator(one).iter_errors(one.data)) == []
    (found,) = validator(one).iter_errors(_broken(one))
    assert "'sepcial' was unexpected" in str([found, *(found.context or ())])


def test_every_kind_is_held_against_something(crds: Crds) -> None:
    from serve_app.tools.check import kubernetes_schemas

    for path in _paths():
        for one in documents(path):
            known = not one.kind or kubernetes_schemas.is_builtin(one) or crds.find(one.group, one.kind)
            assert known or one.kind in _MODELS or hasattr(gateway_api, one.kind), (path, one.kind)


@pytest.mark.parametrize("folder", _BUILDS, ids=_name)
def test_kustomize_builds_the_same(folder: Path) -> None:
    command = next(
        (c for c in (["kustomize", "build"], ["kubectl", "kustomize"]) if shutil.which(c[0])), None
    )
    if command is None:
        pytest.skip("neither kustomize nor kubectl here")
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True)
    theirs = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}
    assert {(one.kind, one.name): one.data for one in build(folder)} == theirs


def test_the_base_has_the_service_of_the_root() -> None:
    """kustomize takes no file from outside of its folder."""
    own = (ROOT / "configs/k8s/base/rayservice.yaml").read_text()
    assert own == (ROOT / "rayservice.yaml").read_text()
