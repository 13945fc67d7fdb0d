"""Names of kinds and groups that are nearly right."""

import difflib
from collections.abc import Iterator

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


def check(document: Document) -> Iterator[Problem]:
    """A kind of KubeRay's or KServe's in another group, or a word that is nearly one of theirs."""
    kind, group = document.kind, document.group
    wanted = _GROUPS.get(kind)
    if wanted and group != wanted:
        yield Problem(
            ("apiVersion",), f"{kind} of the group '{group}'; that of {wanted} is another",
            "its operator doesn't look at it", f"apiVersion: {wanted}/…", "warning",
        )  # fmt: skip
    near = [name for name, its in _GROUPS.items() if its == group and not wanted]
    for name in difflib.get_close_matches(kind.lower(), map(str.lower, near), 1, cutoff=0.85):
        (right,) = (one for one in near if one.lower() == name)
        what = f"{group} has no {kind}, as far as is known here; did you mean {right}?"
        yield Problem(("kind",), what, "the API server refuses what no CRD defines", right, "warning")
