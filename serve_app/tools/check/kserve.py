"""KServe's resources, beyond their schemas: all rules of KServe's, and those of graphs, runtimes and
trained models (KServe 0.20: the validation webhooks in pkg/apis/serving/v1alpha1 and pkg/webhook)."""

from collections.abc import Iterator

from serve_app.config import did_you_mean
from serve_app.tools.check import kserve_scaling, kserve_service
from serve_app.tools.check import rules as the
from serve_app.tools.check.kserve_parts import NAME, RUNTIMES, mode_of
from serve_app.tools.check.rules import Resource, Rule, Table
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.part import Looks

_TARGETS = ("nodeName", "serviceName", "serviceUrl")


def check(document: Document) -> Iterator[Problem]:
    """All rules of the kind."""
    yield from the.check(TABLE, Resource.of(document))


_graph = the.below(the.of("InferenceGraph"), "nodes")
_nodes = the.below(_graph, "{}")
_canaries = the.below(the.of("InferenceService"), "canary *")
_FIXED = ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling")  # a canary isn't scaled


def _shares(canary: Looks, resource: Resource) -> str:
    """What a canary and those before it get together, where that is too much."""
    before = (one for one in _canaries(resource) if one.place <= canary.place)
    total = sum(one.number("trafficPercent") or 0 for one in before)
    return str(total) if total > 100 >= (canary.number("trafficPercent") or 0) else ""


def _same_name(canary: Looks, resource: Resource) -> str:
    others = [resource.spec.text("predictor", "name")]
    others += [one.text("predictor", "name") for one in _canaries(resource) if one.place < canary.place]
    name = canary.text("predictor", "name")
    return name if name and name in others else ""


def _too_many(canary: Looks, resource: Resource) -> str:
    most, number = (one.number("predictor", "minReplicas") for one in (resource.spec, canary))
    most = 1 if most is None else most
    too = number is not None and number > most
    return f"{number} is more than the predictor's {most}" if too else ""


def _priorities(runtime: Looks, _: Resource) -> str:
    """A format that a runtime takes by itself, with two priorities."""
    found = {(one.text("name"), priority) for one in runtime.parts("supportedModelFormats")
             if one.get("autoSelect") and (priority := one.number("priority")) is not None}  # fmt: skip
    return _twice(sorted(name for name, _ in found))


def _twice(names: list[str]) -> str:
    return next((name for name in names if name and names.count(name) > 1), "")


def _lost(step: Looks, resource: Resource) -> str:
    nodes, target = resource.spec.mapping("nodes"), step.text("nodeName")
    return f"no node '{target}'{did_you_mean(target, nodes)}" if target and target not in nodes else ""


def _weights(node: Looks, _: Resource) -> object:
    weights = [step.get("weight") for step in node.parts("steps")]
    splits = node.get("routerType") == "Splitter"
    return splits and sum(one for one in weights if isinstance(one, int)) != 100 and weights


TABLE: Table = (
    *kserve_service.TABLE,
    *kserve_scaling.TABLE,
    (_canaries, the.refused("validateCanarySpecs"), (
        Rule("", lambda _, r: mode_of(r) not in ("", "Standard"), "canaries are for the mode Standard"),
        Rule("predictor", lambda c, _: not c.text("predictor", "name"), "a canary needs a name"),
        Rule("predictor name", _same_name, "the name '{}' is there twice"),
        the.between("trafficPercent", 0, 100, "{} is no share: 0 to 100"),
        Rule("trafficPercent", _shares, "the shares of the canaries are {} together, more than 100"),
        Rule("predictor workerSpec", the.is_set("predictor workerSpec"), "a canary has one node"),
        *(Rule(f"predictor {key}", the.is_set(f"predictor {key}"), "a canary's replicas are fixed")
          for key in _FIXED),
        Rule("predictor minReplicas", _too_many),
    )),
    (the.of(*RUNTIMES), the.refused("validateModelFormatPrioritySame"), (
        Rule("supportedModelFormats", _priorities, "two priorities for '{}'"),
    )),
    (the.kind("InferenceGraph"), the.refused("validateInferenceGraphName"), (NAME,)),
    (_graph, the.refused("validateInferenceGraphRouterRoot"), (
        Rule("", lambda nodes, _: "root" not in nodes.mapping(), "no node `root`",
             why="a graph begins there"),
    )),
    (_nodes, the.refused("validateInferenceGraphSplitterWeight, …StepNameUniqueness"), (
        Rule("steps", _weights, "the weights {} are not 100 together"),
        Rule("steps", lambda n, _: _twice([step.text("stepName") for step in n.parts("steps")]),
             "two steps have the name '{}'"),
    )),
    (the.below(_nodes, "steps *"), the.refused("validateInferenceGraphSingleStepTargets"), (
        Rule("nodeName", _lost, why="a request ends there"),
        the.one_alone("", f"a step has one of {', '.join(_TARGETS)}, here is {{}}", *_TARGETS,
                      none=False),
    )),
    (the.kind("TrainedModel"), the.refused("validateTrainedModelName"), (
        the.like("metadata name", "[a-zA-Z0-9_-]+", "'{}': letters, digits, '-' and '_'"),
    )),
    (the.of("TrainedModel"), the.refused("validateStorageURI"), (
        the.like("model storageUri", "(s3|gs|https?)://.*",
             "{}: one of s3://, gs://, https://, http:// is fetched"),
    )),
)  # fmt: skip
