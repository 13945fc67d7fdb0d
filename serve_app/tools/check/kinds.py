"""Names of kinds and groups that are nearly right."""

import difflib
from collections.abc import Iterator
from dataclasses import replace

from serve_app.config import meant
from serve_app.tools.check import kubernetes_schemas
from serve_app.tools.check.json_schema import Validator, violations
from serve_app.tools.check.metadata import PLACED
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Problem

_GROUPS = {
    **dict.fromkeys(("RayCluster", "RayService", "RayJob", "RayCronJob"), "ray.io"),
    **dict.fromkeys(
        (
            "InferenceService", "InferenceGraph", "ServingRuntime", "ClusterServingRuntime",
            "TrainedModel", "LLMInferenceService", "LLMInferenceServiceConfig", "LocalModelCache",
        ),
        "serving.kserve.io",
    ),
}  # fmt: skip
_RAYS_VERSIONS = ("v1", "v1alpha1")
_PLACED = Validator(PLACED)
_NO_KIND = "the API server refuses what no CRD defines"


def check(document: Document) -> Iterator[Problem]:
    """A kind of KubeRay's or KServe's in another group, or a word that is nearly one of theirs."""
    yield from violations(_PLACED, document.data)
    kind, group = document.kind, document.group
    if wanted := _wanted_group(document):
        yield Problem(
            ("apiVersion",), f"{kind} of the group '{group}'; that of {wanted} is another",
            "its operator doesn't look at it", f"apiVersion: {wanted}/{document.version}",
        )  # fmt: skip
    elif group == "ray.io" and document.version not in _RAYS_VERSIONS:
        what = f"{group} has no version '{document.version}', as far as is known here"
        yield Problem(("apiVersion",), what, _NO_KIND, f"apiVersion: {group}/{_RAYS_VERSIONS[0]}")
    elif right := _near_kind(document):
        what = f"{group} has no {kind}, as far as is known here; did you mean {right}?"
        yield Problem(("kind",), what, _NO_KIND, right)
    elif near := _near_builtin(document):
        what = f"no group '{group}' has a {kind} that is known here; did you mean {near}?"
        yield Problem(("apiVersion",), what, _NO_KIND, near)


def as_meant(document: Document) -> Document:
    """With its kind and group put right, so that what it holds is looked at too."""
    wanted, right = _wanted_group(document), _near_kind(document)
    changes = {"apiVersion": f"{wanted}/{document.version}"} if wanted else {}
    changes |= {"kind": right} if right else {}
    return replace(document, data={**document.data, **changes}) if changes else document


def _wanted_group(document: Document) -> str:
    wanted = _GROUPS.get(document.kind, document.group)
    return "" if wanted == document.group else wanted


def _near_kind(document: Document) -> str:
    if document.kind in _GROUPS:
        return ""
    near = {name.lower(): name for name, its in _GROUPS.items() if its == document.group}
    close = difflib.get_close_matches(document.kind.lower(), near, 1, cutoff=0.85)
    return near[close[0]] if close else ""


def _near_builtin(document: Document) -> str:
    """`group/version` of one of Kubernetes' own kinds, where the group is nearly the one written."""
    if not kubernetes_schemas.installed() or kubernetes_schemas.is_builtin(document):
        return ""
    found = kubernetes_schemas.versions_of(document.kind)
    return meant(document.data["apiVersion"], found)
