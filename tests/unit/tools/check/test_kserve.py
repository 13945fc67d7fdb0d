"""What KServe's webhooks refuse (pkg/apis/serving/*/…_validation.go and pkg/webhook/admission), by their
functions; and what is fine there."""

from pathlib import Path

import pytest

from serve_app.config import join
from serve_app.tools.check import kserve
from serve_app.tools.kube.documents import read
from serve_app.tools.kube.findings import Problem
from tests.unit.tools.check.manifests import ISVC, MODE, MODEL

SCALER = "serving.kserve.io/autoscalerClass"
ALONE = f"{MODE}: Standard, {SCALER}: none"
BOX = "{name: %s, image: 'i:1'}"


def problems(tmp_path: Path, text: str) -> list[Problem]:
    """By KServe's rules alone: what Tandem can serve of it is another question."""
    (tmp_path / "file.yaml").write_text(text)
    (document,) = read(tmp_path / "file.yaml")
    return list(kserve.check(document))


def errors(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    return [
        (join("", one.place), one.what) for one in problems(tmp_path, text) if one.severity == "error"
    ]


def only(tmp_path: Path, text: str, place: str, says: str) -> None:
    """This one mistake, or none where no place is given."""
    hits = errors(tmp_path, text)
    assert [at for at, _ in hits] == ([place] if place else []), hits
    assert all(says in what for _, what in hits), hits


def model(more: str) -> str:
    return MODEL.replace("modelFormat", f"{more}, modelFormat", 1)


P = "spec.predictor"


@pytest.mark.parametrize(
    ("predictor", "place", "says"),
    [
        # ModelSpec: modelFormat and its name are required.
        ("model: {storageUri: 'gs://a/b'}", f"{P}.model", "no modelFormat with a name"),
        ("model: {modelFormat: {version: '1'}}", f"{P}.model", "no modelFormat with a name"),
        # IsProtocolVersionSupported: a runtime lists v1, v2, grpc-v1 or grpc-v2.
        (model("protocolVersion: v3"), f"{P}.model.protocolVersion", "'v3' is none of v1, v2, grpc-v1"),
        (model("protocolVersion: V2"), f"{P}.model.protocolVersion", "'V2' is none of"),
        (model("protocolVersion: grpc-v2"), "", ""),
        # validatePredictor
        (model("name: mine"), f"{P}.model.name", "a standard predictor has no `name`"),
        # validateExactlyOneImplementation
        (f"{MODEL}\n    sklearn: {{storageUri: 'gs://a/b'}}", P, "model and sklearn beside each other"),
        (f"{MODEL}\n    containers: [{BOX % 'kserve-container'}]", P, "model and kserve-container"),
        (f"{MODEL}\n    containers: [{BOX % 'transformer-container'}]", "", ""),
        (f"containers: [{BOX % 'mine'}]", "", ""),
        ("containers: []", P, "neither `model` nor `containers`"),
        # validateBlockedEnvVars
        (model("env: [{name: PYTHONPATH, value: /a}]"), f"{P}.model.env[0].name", "may not be set"),
        (
            "containers: [{name: c, image: 'i:1', env: [{name: PYTHONPATH, value: /a}]}]",
            f"{P}.containers[0].env[0].name",
            "PYTHONPATH may not be set",
        ),
        # validateCustomProtocol
        (
            "containers: [{name: c, image: 'i:1', env: [{name: PROTOCOL, value: v3}]}]",
            f"{P}.containers[0].env[0].value",
            "'v3' is none of v1, v2",
        ),
        ("containers: [{name: c, image: 'i:1', env: [{name: PROTOCOL, value: v2}]}]", "", ""),
        # validateCollocationStorageURI
        (
            f"{MODEL}\n    containers: [{{name: transformer-container, image: 'i:1', "
            "env: [{name: STORAGE_URI, value: 'gs://a'}]}]",
            f"{P}.containers[0].env",
            "STORAGE_URI is for the predictor's container",
        ),
        # validateMultipleStorageURIs
        (f"{MODEL}\n    storageUris: [{{uri: 'gs://a'}}]", f"{P}.storageUris", "exclude each other"),
        (
            "model: {modelFormat: {name: a}}\n    storageUris: [{uri: 'gs://a', mountPath: /a/../b}]",
            f"{P}.storageUris[0].mountPath",
            "an absolute path",
        ),
        (
            "model: {modelFormat: {name: a}}\n    storageUris: "
            "[{uri: 'gs://a', mountPath: /a/b}, {uri: 'gs://b', mountPath: /c/d}]",
            f"{P}.storageUris",
            "/a/b, /c/d: the mountPaths have no folder in common",
        ),
        (
            "model: {modelFormat: {name: a}}\n    storageUris: "
            "[{uri: 'gs://a', mountPath: /a/b}, {uri: 'gs://b', mountPath: /a/c}, {uri: 'pvc://c/d'}]",
            "",
            "",
        ),
        # validateConfidential
        (
            "model: {modelFormat: {name: a}, confidential: {enabled: true}}",
            f"{P}.model.confidential",
            "needs a storageUri",
        ),
        # validateLogger
        (f"{MODEL}\n    logger: {{mode: some}}", f"{P}.logger.mode", "one of all, request, response"),
        (
            f"{MODEL}\n    logger: {{url: 'http://a'}}",
            f"{P}.logger.mode",
            "one of all, request, response",
        ),
        (f"{MODEL}\n    logger: {{mode: all}}", "", ""),
        (
            f"{MODEL}\n    logger: {{mode: all, storage: {{path: a, key: b}}}}",
            f"{P}.logger.storage",
            "key, path and parameters",
        ),
    ],
)
def test_predictors(tmp_path: Path, predictor: str, place: str, says: str) -> None:
    only(tmp_path, ISVC.format(notes=f"{MODE}: Standard", predictor=predictor), place, says)


@pytest.mark.parametrize(
    ("component", "place", "says"),
    [
        ("transformer: {minReplicas: 1}", "spec.transformer", "no `containers`"),
        ("explainer: {minReplicas: 1}", "spec.explainer", "neither `art` nor `containers`"),
        ("explainer: {art: {type: SquareAttack}}", "", ""),
        (
            f"explainer: {{art: {{type: SquareAttack}}, containers: [{BOX % 'a'}]}}",
            "spec.explainer",
            "art and containers beside each other",
        ),
        (
            "transformer: {containers: [{name: a, image: 'i:1', env: [{name: PYTHONPATH, value: a}]}]}",
            "spec.transformer.containers[0].env[0].name",
            "may not be set",
        ),
    ],
)
def test_other_components(tmp_path: Path, component: str, place: str, says: str) -> None:
    only(tmp_path, ISVC.format(notes="", predictor=MODEL) + f"  {component}\n", place, says)


WORKERS = "\n    workerSpec: {pipelineParallelSize: 2}"


@pytest.mark.parametrize(
    ("notes", "predictor", "place", "says"),
    [
        # validateMultiNodeVariables
        (ALONE, MODEL + WORKERS, "", ""),
        (f"{MODE}: Standard", MODEL + WORKERS, f"{P}.model", "isn't scaled"),
        (ALONE, MODEL.replace("pvc", "gs") + WORKERS, f"{P}.model.storageUri", "'gs://a/b': on several"),
        (
            ALONE,
            "model: {modelFormat: {name: a}}" + WORKERS,
            f"{P}.model.storageUri",
            "no storageUri: on several nodes",
        ),
        (
            ALONE,
            MODEL + WORKERS.replace("2", "0"),
            f"{P}.workerSpec.pipelineParallelSize",
            "0 is not above 0",
        ),
        (
            ALONE,
            MODEL + f"\n    workerSpec: {{containers: [{BOX % 'a'}, {BOX % 'b'}]}}",
            f"{P}.workerSpec.containers",
            "several containers",
        ),
        (
            ALONE,
            model("env: [{name: TENSOR_PARALLEL_SIZE, value: '2'}]") + WORKERS,
            f"{P}.model.env[0].name",
            "TENSOR_PARALLEL_SIZE may not be set",
        ),
        (
            ALONE,
            model("resources: {limits: {mine.com/gpu: 1}}") + WORKERS,
            f"{P}.model.resources",
            "mine.com/gpu is no GPU",
        ),
        (
            f"{ALONE}, serving.kserve.io/gpu-resource-types: '[\"mine.com/gpu\"]'",
            model("resources: {limits: {mine.com/gpu: 1, nvidia.com/gpu: 1}}") + WORKERS,
            "",
            "",
        ),
        (f"{MODE}: Standard", MODEL, "", ""),
    ],
)
def test_several_nodes(tmp_path: Path, notes: str, predictor: str, place: str, says: str) -> None:
    only(tmp_path, ISVC.format(notes=notes, predictor=predictor), place, says)


CANARY = "{trafficPercent: 20, predictor: {name: b, minReplicas: 1, model: {modelFormat: {name: a}}}}"


@pytest.mark.parametrize(
    ("mode", "canaries", "place", "says"),
    [
        # validateCanarySpecs
        ("Standard", [CANARY], "", ""),
        ("Knative", [CANARY], "[0]", "for the mode Standard"),
        ("Standard", [CANARY.replace("name: b, ", "")], "[0].predictor", "needs a name"),
        ("Standard", [CANARY, CANARY], "[1].predictor.name", "the name 'b' is there twice"),
        ("Standard", [CANARY.replace("20", "101")], "[0].trafficPercent", "101 is no share: 0 to 100"),
        ("Standard", [CANARY.replace("20", "60"), CANARY.replace("20", "50").replace("b,", "c,")],
         "[1].trafficPercent", "110 together, more than 100"),
        ("Standard", [CANARY.replace("name: b", "name: b, scaleTarget: 1")],
         "[0].predictor.scaleTarget", "replicas are fixed"),
        ("Standard", [CANARY.replace("name: b", "name: b, workerSpec: {}")],
         "[0].predictor.workerSpec", "one node"),
        ("Standard", [CANARY.replace("minReplicas: 1", "minReplicas: 2")],
         "[0].predictor.minReplicas", "2 is more than the predictor's 1"),
    ],
)  # fmt: skip
def test_canaries(tmp_path: Path, mode: str, canaries: list[str], place: str, says: str) -> None:
    text = ISVC.format(notes=f"{MODE}: {mode}", predictor=MODEL)
    text += f"  canary: [{', '.join(canaries)}]\n"
    only(tmp_path, text, place and f"spec.canary{place}", says)


def manifest(kind: str, spec: str, name: str = "m") -> str:
    head = "apiVersion: serving.kserve.io/v1alpha1"
    return f"{head}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def graph(steps: str, router: str = "Sequence") -> str:
    return manifest("InferenceGraph", f"{{nodes: {{root: {{routerType: {router}, steps: [{steps}]}}}}}}")


ROOT = "spec.nodes.root.steps"


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        # validateInferenceGraph…
        (graph("{serviceName: a}"), "", ""),
        (graph("{serviceName: a}").replace("name: m", "name: 1m"), "metadata.name", "no name of a"),
        (graph("{stepName: a}"), f"{ROOT}[0]", "here is none of them"),
        (graph("{serviceName: a, serviceUrl: b}"), f"{ROOT}[0]", "here is serviceName and serviceUrl"),
        (graph("{serviceName: a, stepName: a}, {serviceName: b, stepName: a}"), ROOT, "the name 'a'"),
        (graph("{serviceName: a, weight: 60}, {serviceName: b}", "Splitter"), ROOT, "[60, None]"),
        (graph("{serviceName: a, weight: 60}, {serviceName: b, weight: 40}", "Splitter"), "", ""),
        # validateTrainedModel
        (manifest("TrainedModel", "{model: {storageUri: 's3://a'}}"), "", ""),
        (manifest("TrainedModel", "{model: {storageUri: 'pvc://a'}}"), "spec.model.storageUri", "s3://"),
        (manifest("TrainedModel", "{model: {}}", "a.b"), "metadata.name", "'a.b': letters"),
        # validateModelFormatPrioritySame, validateMultiNodeSpec, validateBlockedEnvVars
        (
            manifest(
                "ServingRuntime",
                "{containers: [{name: kserve-container, image: 'i:1'}], supportedModelFormats: ["
                "{name: a, autoSelect: true, priority: 1}, {name: a, autoSelect: true, priority: 2}]}",
            ),
            "spec.supportedModelFormats",
            "two priorities for 'a'",
        ),
        (
            manifest(
                "ClusterServingRuntime",
                "{containers: [{name: kserve-container, image: 'i:1', env: [{name: PYTHONPATH}]}]}",
            ),
            "spec.containers[0].env[0].name",
            "PYTHONPATH may not be set",
        ),
        (
            manifest(
                "ServingRuntime",
                "{containers: [{name: kserve-container, image: 'i:1', "
                "env: [{name: PIPELINE_PARALLEL_SIZE, value: '1'}]}], workerSpec: {containers: []}}",
            ),
            "spec.containers[0].env[0].name",
            "PIPELINE_PARALLEL_SIZE may not be set",
        ),
    ],
)
def test_other_kinds(tmp_path: Path, text: str, place: str, says: str) -> None:
    only(tmp_path, text, place, says)


def test_a_rule_says_where_it_comes_from(tmp_path: Path) -> None:
    text = ISVC.format(notes=f"{MODE}: Standard", predictor=model("env: [{name: PYTHONPATH}]"))
    (one,) = problems(tmp_path, text)
    assert one.why == "the operator refuses the resource: validateBlockedEnvVars"
