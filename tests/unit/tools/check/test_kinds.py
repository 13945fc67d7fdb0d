"""Other kinds than RayService, alone and together."""

from pathlib import Path

import pytest

from serve_app.tools.check.crds import Crds
from serve_app.tools.check.verdict import check
from tests.package.crd import ROOT, crd_folder
from tests.unit.tools.check.manifests import ISVC, MODE, MODEL, found, said

SCALER = "serving.kserve.io/autoscalerClass"


@pytest.mark.parametrize(
    ("notes", "predictor", "words"),
    [
        (f"{MODE}: RawDeployment", MODEL, "RawDeployment is called Standard now"),
        (f"{MODE}: Serverless", MODEL, "Serverless is called Knative now"),
        (f"{MODE}: Standrad", MODEL, "no deployment mode; did you mean Standard?"),
        (f"{SCALER}: kedda", MODEL, "no autoscaler class; did you mean keda?"),
        (f"{MODE}: Knative, {SCALER}: keda", MODEL, "keda with mode Knative"),
        ("", f"{MODEL}\n    autoScaling: {{metrics: []}}", "only KEDA reads it"),
        (f"{MODE}: Standard", f"{MODEL}\n    canaryTrafficPercent: 10", "Standard mode has no canary"),
        ("", f"{MODEL}\n    canaryTrafficPercent: 150", "150 is no share: 0 to 100"),
        (
            "",
            "model: {modelFormat: {name: onnx}, storageUri: 'ftp://a/b'}",
            "no storage that KServe knows",
        ),
        ("", f"{MODEL}\n    minReplicas: 3\n    maxReplicas: 2", "3 is more than maxReplicas 2"),
        ("", "tensorflow: {storageUri: 'gs://a/b'}", "`tensorflow` is the old form"),
        ("", "minReplicas: 1", "neither `model` nor `containers`"),
        (
            f"{MODE}: Knative",
            "containers: [{name: c, image: i:1, ports: [{containerPort: 1}, {containerPort: 2}]}]",
            "2 ports",
        ),
    ],
)
def test_mistakes_in_an_inference_service(
    tmp_path: Path, notes: str, predictor: str, words: str
) -> None:
    assert words in said(found(tmp_path, ISVC.format(notes=notes, predictor=predictor)))
    assert found(tmp_path, ISVC.format(notes=f"{MODE}: Standard", predictor=MODEL)) == []


@pytest.mark.parametrize(
    "uri",
    ["gs://a/b", "pvc://a/b", "hf://a/b", "https://a.blob.core.windows.net/b/c", "/a/b"],
)
def test_storages_that_kserve_knows(tmp_path: Path, uri: str) -> None:
    predictor = f"model: {{modelFormat: {{name: onnx}}, storageUri: '{uri}'}}"
    assert found(tmp_path, ISVC.format(notes=f"{MODE}: Standard", predictor=predictor)) == []


def test_the_form_of_v1alpha2(tmp_path: Path) -> None:
    text = ISVC.format(notes="", predictor=MODEL).replace("  predictor:", "  default:\n    predictor:")
    assert "5: spec.default: v1alpha2's form" in said(found(tmp_path, text)).replace("7:", "5:")


def test_a_graph(tmp_path: Path) -> None:
    text = """\
apiVersion: serving.kserve.io/v1alpha1
kind: InferenceGraph
metadata: {name: g}
spec:
  nodes:
    rot:
      routerType: Splitter
      steps:
        - {serviceName: a, weight: 50}
        - {nodeName: rott, weight: 40}
"""
    text_found = said(found(tmp_path, text))
    assert "no node `root`" in text_found
    assert "10: spec.nodes.rot.steps[1].nodeName: no node 'rott'; did you mean rot?" in text_found
    assert "the weights [50, 40] are not 100 together" in text_found


def test_a_job(tmp_path: Path) -> None:
    text = (ROOT / "configs/k8s/ray/rayjob.yaml").read_text()
    assert found(tmp_path, text) == []
    text = text.replace("  shutdownAfterJobFinishes: true\n", "")
    assert "nothing says that it does" in said(found(tmp_path, text))


OTHERS = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: b}
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: tandm}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  rules:
    - backendRefs: [{name: tandem-serv-svc, port: 8000}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: s}
spec:
  scaleTargetRef: {apiVersion: ray.io/v1, kind: RayCluster, name: c}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: s}
spec:
  scaleTargetRef: {name: other}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: c}
spec:
  maxUnavailable: 1
  selector: {matchLabels: {ray.io/cluster: tandem}}
  minAvailabel: 1
"""


def test_what_must_fit_together(tmp_path: Path) -> None:
    service = (ROOT / "rayservice.yaml").read_text()
    before = service.count("\n") + 1
    text = said(found(tmp_path, f"{service}---\n{OTHERS}"))
    assert f"{before + 6}: spec.selector.matchLabels: no pod here has app=tandm" in text
    assert "no service 'tandem-serv-svc' here; did you mean tandem-serve-svc?" in text
    assert "RayCluster has no scale subresource" in text
    assert "another ScaledObject 's' came before" in text
    assert "cluster changes with every upgrade" in text
    assert "minAvailabel: unknown field; did you mean minAvailable?" in text


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "maxUnavailable: 1",
            "6: spec.maxUnavailable: maxUnavailable: 1 needs a scale subresource",
        ),
        ("minAvailable: 50%", "6: spec.minAvailable: minAvailable: 50% needs a scale subresource"),
        ("minAvailable: 2", "6: spec.minAvailable: 2 of the 2 pods that there are at least must stay"),
    ],
)
def test_budgets_that_stop_every_drain(tmp_path: Path, spec: str, expected: str) -> None:
    budget = (ROOT / "configs/k8s/base/budget.yaml").read_text().partition("apiVersion")
    service = (ROOT / "rayservice.yaml").read_text()
    text = f"{budget[1]}{budget[2]}"
    assert found(tmp_path, f"{text}---\n{service}") == []
    broken = text.replace("minAvailable: 1", spec)
    assert expected in said(found(tmp_path, f"{broken}---\n{service}"))


def test_lists_are_taken_apart_with_their_lines(tmp_path: Path) -> None:
    item = "- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spek: {}\n"
    text = f"apiVersion: v1\nkind: List\nitems:\n{item}"
    assert said(found(tmp_path, text)) == "7: spek: unknown field; did you mean spec?"


def test_a_kind_that_kubernetes_has_not(tmp_path: Path) -> None:
    assert "Kubernetes has no Deployement" in said(
        found(tmp_path, "apiVersion: apps/v1\nkind: Deployement\nmetadata: {name: a}\n")
    )


def test_versions_that_a_kind_has_not(tmp_path: Path) -> None:
    text = "apiVersion: ray.io/v2\nkind: RayService\nmetadata: {name: a}\nspec: {}\n"
    assert "RayService has no version 'v2'" in said(found(tmp_path, text, Crds(crd_folder())))


def test_names_given_twice_and_routes_to_elsewhere(tmp_path: Path) -> None:
    """In one file a name given twice is a mistake; files of a folder may be alternatives."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"
    route = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
        "spec: {rules: [{backendRefs: [{name: %s, port: %d}]}]}\n"
    )
    assert [one.severity for one in found(tmp_path, f"{service}---\n{service}")] == ["error"]
    assert [one.severity for one in found(tmp_path, f"{service}---\n{route % ('b', 80)}")] == ["warning"]
    assert [one.severity for one in found(tmp_path, f"{service}---\n{route % ('a', 81)}")] == ["error"]
    (tmp_path / "file.yaml").write_text(service)
    (tmp_path / "other.yaml").write_text(service)
    assert [one.severity for one in check(tmp_path, None)] == ["warning"]


POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, creationTimestamp: null, labels: {labels}}}
spec:
  nodeName: null
  containers:
    - {{name: c, image: i, command: null, resources: {{limits: {{cpu: {cpu}}}}}}}
"""


@pytest.mark.parametrize(
    ("labels", "cpu", "expected"),
    [
        ("{a: b}", "500m", ""),
        ("null", "0.5", ""),
        ("{a: b}", "1 GB", "7: spec.containers[0].resources.limits.cpu: '1 GB' is no quantity"),
        ("{a: b}", "[1]", "7: spec.containers[0].resources.limits.cpu: a list fits none"),
        ("{a: 'b c'}", "1", "3: metadata.labels.a: 'b c' does not match the pattern"),
        ("{a: 1}", "1", "3: metadata.labels.a: expected string, got 1"),
    ],
)
def test_a_pod(tmp_path: Path, labels: str, cpu: str, expected: str) -> None:
    text = said(found(tmp_path, POD.format(name="a", labels=labels, cpu=cpu)))
    assert text.startswith(expected) if expected else text == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A_b", "metadata.name: 'A_b' does not match the pattern"),
        ("null", "metadata: no name"),
        ("a.b-1", ""),
    ],
)
def test_a_pods_name(tmp_path: Path, name: str, expected: str) -> None:
    text = said(found(tmp_path, POD.format(name=name, labels="{}", cpu="1")))
    assert expected in text if expected else text == ""


def test_a_roles_name_is_freer(tmp_path: Path) -> None:
    text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:a'}\n"
    assert said(found(tmp_path, text)) == ""


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        # KServe's webhook: validateInferenceServiceName, validateReplicas, validateContainerConcurrency.
        ("name: 1m", "metadata.name", "no name of a service"),
        ("name: a.b", "metadata.name", "no name of a service"),
        ("minReplicas: -1", "spec.predictor.minReplicas", "-1 is negative"),
        ("maxReplicas: -2", "spec.predictor.maxReplicas", "-2 is negative"),
        ("containerConcurrency: -1", "spec.predictor.containerConcurrency", "-1 is negative"),
        ("scaleTarget: 0", "spec.predictor.scaleTarget", "1 or more"),
        ("scaleTarget: 500\n    scaleMetric: memory", "", ""),
        ("minReplicas: 3\n    maxReplicas: 0", "", ""),
        ("minReplicas: 0\n    maxReplicas: 3", "", ""),
    ],
)
def test_what_kserves_webhook_refuses(tmp_path: Path, text: str, place: str, says: str) -> None:
    whole = ISVC.format(notes=f"{MODE}: Standard", predictor=MODEL)
    if text.startswith("name"):
        whole = whole.replace("name: m", text)
    else:
        whole += f"    {text}\n"
    errors = [one for one in found(tmp_path, whole) if one.severity == "error"]
    assert [one.place for one in errors] == ([place] if place else [])
    assert all(says in one.what for one in errors)


def test_a_transformer_has_the_same_rules(tmp_path: Path) -> None:
    text = ISVC.format(notes="", predictor=MODEL)
    text += "  transformer: {minReplicas: 4, maxReplicas: 2, containers: [{name: a, image: a}]}\n"
    one, ours = sorted(found(tmp_path, text), key=lambda one: one.severity)
    assert ours.severity == "warning"  # it is KServe's, and Tandem doesn't run it
    assert (one.place, one.what) == ("spec.transformer.minReplicas", "4 is more than maxReplicas 2")


@pytest.mark.parametrize(
    "note", ["serving.kserve.io/deploymentmode", "serving.kubeflow.org/autoscalerClass"]
)
def test_an_annotation_that_is_nearly_one(tmp_path: Path, note: str) -> None:
    (one,) = found(tmp_path, ISVC.format(notes=f"{note}: none", predictor=MODEL))
    assert (one.place, one.severity) == (f"metadata.annotations.{note}", "warning")
