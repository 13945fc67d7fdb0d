"""Every field of an InferenceService is carried, or somebody says what became of it; and comes back.

Fields are KServe's own: taken from its CRD, each alone and many at random.
"""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from serve_app.tools.kserve import both_ways, serve_config
from serve_app.tools.kserve.formats import OLD_STYLE
from serve_app.tools.kserve.ledger import Ledger, leaves
from serve_app.tools.kserve.merge import same
from serve_app.tools.kserve.service import Service
from serve_app.tools.kserve.translate import accounted
from tests.unit.tools.kserve.from_schema import at, schema, values
from tests.unit.tools.kserve.isvc import errors, isvc, one, onnx

_QUICK = settings(
    deadline=None, max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
try:
    SPEC = at(schema(), "spec")
except pytest.skip.Exception:
    pytest.skip("no CRDs", allow_module_level=True)
PREDICTOR = at(SPEC, "predictor")
FORMS = {*OLD_STYLE, "model", "containers", "storageUris"}


def answered(data: dict[str, Any]) -> Service:
    service = one(data)
    assert accounted(service) == []
    return service


def fields(of: dict[str, Any], without: set[str]) -> list[str]:
    return sorted(set(of["properties"]) - without)


@pytest.mark.parametrize("name", fields(PREDICTOR, FORMS))
@given(data=st.data())
@settings(_QUICK, max_examples=3)
def test_each_field_of_a_predictor(name: str, data: st.DataObject) -> None:
    answered(isvc(onnx(**{name: data.draw(values(at(PREDICTOR, name)))})))


@pytest.mark.parametrize("name", fields(at(PREDICTOR, "model"), {"modelFormat"}))
@given(data=st.data())
@settings(_QUICK, max_examples=3)
def test_each_field_of_a_model(name: str, data: st.DataObject) -> None:
    predictor = onnx()
    predictor["model"][name] = data.draw(values(at(PREDICTOR, "model", name)))
    answered(isvc(predictor))


@pytest.mark.parametrize("form", sorted(OLD_STYLE))
@given(data=st.data())
@settings(_QUICK, max_examples=3)
def test_each_old_form(form: str, data: st.DataObject) -> None:
    answered(isvc({form: data.draw(values(at(PREDICTOR, form)))}))


@given(data=st.data())
@_QUICK
def test_containers_of_ones_own(data: st.DataObject) -> None:
    boxes = data.draw(values(at(PREDICTOR, "containers")))
    answered(isvc({"containers": boxes}, annotations={"tandem/model": "class: a.b:C"}))


@pytest.mark.parametrize("part", ["transformer", "explainer", "canary"])
@given(data=st.data())
@settings(_QUICK, max_examples=10)
def test_other_parts(part: str, data: st.DataObject) -> None:
    answered(isvc(onnx(), **{part: data.draw(values(at(SPEC, part)))}))


@given(data=st.data())
@settings(_QUICK, max_examples=10)
def test_an_explainer_that_is_run(data: st.DataObject) -> None:
    notes = {"tandem/explainer": "explainer: {method: lime, kind: text}"}
    answered(isvc(onnx(), explainer=data.draw(values(at(SPEC, "explainer"))), annotations=notes))


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    """Random ones, of a format that Tandem has and a storage that can be read."""
    drawn: dict[str, Any] = draw(values(PREDICTOR))
    found = {key: value for key, value in drawn.items() if key not in FORMS}
    model = draw(values(at(PREDICTOR, "model")))
    for key in ("name", "confidential", "protocolVersion", "env"):
        model.pop(key, None)
    model |= {"modelFormat": {"name": "onnx"}, "storageUri": draw(st.sampled_from(_URIS))}
    model.pop("storage", None)
    if draw(st.booleans()):
        model["env"] = [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
        ]
    notes = draw(st.dictionaries(st.sampled_from(_NOTES), st.sampled_from(["1", "Standard", "x"])))
    data = isvc({**found, "model": model}, annotations=notes or None)
    if draw(st.booleans()):
        data["metadata"]["labels"] = {"team": "a"}
    if draw(st.booleans()):
        data["metadata"]["namespace"] = "ns"
    return data


_URIS = ["gs://a/b", "s3://a/b/1", "pvc://claim/m", "hf://a/b", "https://h/m.onnx", "/mnt/x"]
_NOTES = [
    "serving.kserve.io/deploymentMode", "serving.kserve.io/autoscalerClass", "own/note",
    "autoscaling.knative.dev/target", "autoscaling.knative.dev/max-scale", "sidecar.istio.io/inject",
]  # fmt: skip


@given(data=services())
@_QUICK
def test_many_fields_at_random(data: dict[str, Any]) -> None:
    before = copy.deepcopy(data)
    service = answered(data)
    serve_config.write([service])
    assert data == before


@given(data=services())
@_QUICK
def test_there_and_back(data: dict[str, Any]) -> None:
    """Equal after KServe's own defaults, whatever the RayService has no place for."""
    service = one(data)
    assume(not errors(service))
    manifest = both_ways.ray_service([service])
    config = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    (found,), _ = both_ways.inference_services(manifest, config)
    assert same(found, both_ways.own_words(service.document.data))


def test_a_field_that_nobody_knows_is_said() -> None:
    service = one(isvc(onnx(somethingNew={"deep": [1, {"er": 2}]})))
    assert accounted(service) == [
        ("spec", "predictor", "somethingNew", "deep", 0),
        ("spec", "predictor", "somethingNew", "deep", 1, "er"),
    ]


def test_leaves() -> None:
    data = {"a": {"b": [1, {}], "c": None}, "d": []}
    assert list(leaves(data)) == [("a", "b", 0), ("a", "b", 1), ("a", "c"), ("d",)]
    ledger = Ledger({("a",)})
    ledger.say((), "of all of it")
    assert ledger.left(data) == [("d",)]


# What is carried is in the manifest: another value makes another one.
CARRIED: dict[str, tuple[Any, Any]] = {
    "predictor.minReplicas": (2, 3), "predictor.maxReplicas": (5, 6),
    "predictor.containerConcurrency": (2, 3), "predictor.timeout": (10, 20),
    "predictor.nodeSelector": ({"a": "b"}, {"a": "c"}), "predictor.serviceAccountName": ("a", "b"),
    "predictor.tolerations": ([{"key": "a"}], [{"key": "b"}]),
    "predictor.affinity": ({"nodeAffinity": {}}, {"podAffinity": {}}),
    "predictor.imagePullSecrets": ([{"name": "a"}], [{"name": "b"}]),
    "predictor.volumes": ([{"name": "a"}], [{"name": "b"}]),
    "predictor.initContainers": ([{"name": "a"}], [{"name": "b"}]),
    "predictor.priorityClassName": ("a", "b"), "predictor.runtimeClassName": ("a", "b"),
    "predictor.labels": ({"a": "b"}, {"a": "c"}), "predictor.annotations": ({"a": "b"}, {"a": "c"}),
    "predictor.batcher.maxBatchSize": (2, 3), "predictor.batcher.maxLatency": (2, 3),
    "predictor.model.storageUri": ("gs://a/b", "gs://a/c"),
    "predictor.model.env": ([{"name": "A", "value": "1"}], [{"name": "A", "value": "2"}]),
    "predictor.model.envFrom": ([{"secretRef": {"name": "a"}}], [{"secretRef": {"name": "b"}}]),
    "predictor.model.volumeMounts": ([{"name": "a"}], [{"name": "b"}]),
    "predictor.model.resources.requests.cpu": ("1", "2"),
    "predictor.model.resources.limits.memory": ("1Gi", "2Gi"),
    "predictor.model.args": (["--model_name=x"], ["--model_name=y"]),
    "predictor.securityContext": ({"runAsUser": 1}, {"runAsUser": 2}),
}  # fmt: skip


@pytest.mark.parametrize("path", CARRIED)
def test_what_is_carried_makes_a_difference(path: str) -> None:
    made = []
    for value in CARRIED[path]:
        data = isvc(onnx())
        *around, last = path.split(".")
        part = data["spec"]
        for step in around:
            part = part.setdefault(step, {})
        part[last] = value
        service = one(data)
        place = ("spec", *path.split("."))
        below = [each for each in leaves(data) if each[: len(place)] == place]
        assert {service.ledger.fate(each) for each in below} == {"carried"}
        manifest = both_ways.ray_service([service])
        manifest["metadata"].get("annotations", {}).pop("tandem/kserve", None)
        made.append(manifest)
    assert made[0] != made[1]
