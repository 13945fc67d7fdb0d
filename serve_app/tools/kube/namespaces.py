"""`namespace:` of a kustomization: on what is in one, and in what speaks of it, as kustomize has it."""

from collections.abc import Iterator, Sequence
from typing import Any

from serve_app.tools.kube.documents import Document, get, items

# Of Kubernetes' own kinds; all others are in a namespace, for kustomize.
_CLUSTER_WIDE = {
    "APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole",
    "ClusterRoleBinding", "ComponentStatus", "CustomResourceDefinition", "IngressClass",
    "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PodSecurityPolicy",
    "PriorityClass", "RuntimeClass", "StorageClass", "ValidatingWebhookConfiguration",
    "VolumeAttachment",
}  # fmt: skip


def put_in(namespace: str, documents: Sequence[Document]) -> None:
    """Put them into it."""
    accounts, services = (
        {
            (one.name, said)
            for one in documents
            if one.kind == kind and not one.group
            for said in (None, get(one.data, "metadata", "namespace"))
        }
        for kind in ("ServiceAccount", "Service")
    )
    for one in documents:
        metadata = one.data.setdefault("metadata", {})
        if one.kind not in _CLUSTER_WIDE or not _kubernetes(one.group):
            metadata["namespace"] = namespace
        elif one.kind == "Namespace":
            metadata["name"] = namespace
        elif one.kind == "APIService" and isinstance(service := get(one.data, "spec", "service"), dict):
            service["namespace"] = namespace
        for service in _called(one.data):
            if _who(service) in services:
                service["namespace"] = namespace
        for subject in items(one.data, "subjects") if one.kind.endswith("RoleBinding") else ():
            if get(subject, "kind") != "ServiceAccount":
                continue
            if subject.get("name") == "default" or _who(subject) in accounts:
                subject["namespace"] = namespace


def _who(one: dict[str, Any]) -> tuple[str, Any]:
    return str(one.get("name")), one.get("namespace")


def _kubernetes(group: str) -> bool:
    return "." not in group or group.endswith(".k8s.io")


def _called(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Services that webhooks are called at."""
    hooks = [*items(data, "webhooks"), get(data, "spec", "conversion", "webhook")]
    for hook in hooks:
        if isinstance(service := get(hook, "clientConfig", "service"), dict):
            yield service
