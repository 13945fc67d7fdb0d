"""What every object's `metadata` may be: Kubernetes' ObjectMeta, with its rules for names and labels."""

from collections.abc import Iterator
from typing import Any

from serve_app.tools.kube.documents import get
from serve_app.tools.kube.findings import Problem

_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = rf"{_PART}(\.{_PART})*"
_TEXT, _FLAG, _NUMBER = ({"type": kind} for kind in ("string", "boolean", "integer"))
_TIME = {"type": "string", "format": "date-time"}
_TEXTS = {
    "type": "object",
    "additionalProperties": _TEXT,
    "propertyNames": {"pattern": rf"^({_NAME}/)?{_LABEL}$"},
}
LABELS = _TEXTS | {"additionalProperties": {"type": "string", "pattern": rf"^({_LABEL})?$"}}
METADATA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 253, "pattern": rf"^({_NAME})?$"},
        "namespace": {"type": "string", "maxLength": 63, "pattern": f"^({_PART})?$"},
        "labels": LABELS,
        "annotations": _TEXTS,
        "finalizers": {"type": "array", "items": _TEXT},
        "ownerReferences": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _TEXT),
                    **dict.fromkeys(("controller", "blockOwnerDeletion"), _FLAG),
                },
            },
        },
        "managedFields": {"x-kubernetes-preserve-unknown-fields": True},
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _NUMBER),
        **dict.fromkeys(("generateName", "selfLink", "uid", "resourceVersion"), _TEXT),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TIME),
    },
}
# What holds whatever the kind.
PLACED = {"properties": {"metadata": {"properties": {"namespace": METADATA["properties"]["namespace"]}}}}


def nameless(data: Any) -> Iterator[Problem]:
    """An object that is to be kept needs a name, or how one begins."""
    if not get(data, "metadata", "name") and not get(data, "metadata", "generateName"):
        yield Problem(("metadata",), "no name", "the API server refuses it", "metadata: {name: …}")
