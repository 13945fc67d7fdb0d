"""A `namespace`, as `kubectl kustomize` puts it on things and into what speaks of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.tools.kube.documents import get
from serve_app.tools.kube.kustomize import build
from tests.unit.tools.kustomized import write

RBAC, HOOKS = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"


def built(folder: Path, *data: dict[str, Any]) -> list[dict[str, Any]]:
    text = yaml.safe_dump_all(data)
    write(folder, thing=text, kustomization={"resources": ["thing.yaml"], "namespace": "new"})
    return [one.data for one in build(folder)]


def thing(api: str, kind: str, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **more}


@pytest.mark.parametrize(
    ("api", "kind", "within"),
    [
        ("v1", "ConfigMap", True), ("ray.io/v1", "RayService", True), ("x.io/v1", "Node", True),
        ("gateway.networking.k8s.io/v1", "GatewayClass", True), ("v1", "Node", False),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", False), (RBAC, "ClusterRole", False),
        (HOOKS, "ValidatingWebhookConfiguration", False), ("storage.k8s.io/v1", "StorageClass", False),
    ],
)  # fmt: skip
def test_what_is_in_one(tmp_path: Path, api: str, kind: str, within: bool) -> None:
    (one,) = built(tmp_path, thing(api, kind))
    assert one["metadata"] == {"name": "a"} | ({"namespace": "new"} if within else {})


def test_a_namespace_is_called_so(tmp_path: Path) -> None:
    assert built(tmp_path, thing("v1", "Namespace"))[0]["metadata"] == {"name": "new"}


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_accounts_of_bindings(tmp_path: Path, kind: str) -> None:
    """Those that are here, and `default`."""
    named: list[tuple[str, str | None, str | None]] = [
        ("default", "old", "new"), ("default", None, "new"), ("sa", None, "new"), ("sa", "mine", "new"),
        ("sa", "other", "other"), ("nowhere", "old", "old"), ("nowhere", None, None),
    ]  # fmt: skip
    subjects = [
        {"kind": "ServiceAccount", "name": name, **({"namespace": said} if said else {})}
        for name, said, _ in named
    ]
    account = thing("v1", "ServiceAccount", "sa")
    account["metadata"]["namespace"] = "mine"
    found = built(tmp_path, account, thing(RBAC, kind, subjects=subjects))[1]["subjects"]
    assert [one.get("namespace") for one in found] == [now for *_, now in named]


def test_services_that_the_api_server_calls(tmp_path: Path) -> None:
    service = {"name": "hook", "namespace": "old"}
    here, config = thing("v1", "Service", "hook"), {"service": dict(service)}
    here["metadata"]["namespace"] = "old"
    hooks = [
        {"clientConfig": config},
        {"clientConfig": {"service": {"name": "far", "namespace": "old"}}},
    ]
    crd = {"conversion": {"webhook": {"clientConfig": {"service": dict(service)}}}}
    _, hook, definition, served = built(
        tmp_path, here, thing(HOOKS, "MutatingWebhookConfiguration", webhooks=hooks),
        thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec=crd),
        thing("apiregistration.k8s.io/v1", "APIService", spec={"service": {"name": "any"}}),
    )  # fmt: skip
    assert [one["clientConfig"]["service"]["namespace"] for one in hook["webhooks"]] == ["new", "old"]
    assert (
        get(definition, "spec", "conversion", "webhook", "clientConfig", "service", "namespace") == "new"
    )
    assert served["spec"]["service"] == {"name": "any", "namespace": "new"}
