"""The parts of KServe's resources that rules are about."""

from collections.abc import Iterable

from serve_app.tools.check import rules as the
from serve_app.tools.check.rules import Resource
from serve_app.tools.kserve.formats import OLD_STYLE
from serve_app.tools.kube.part import Looks

MODE, SCALER = "serving.kserve.io/deploymentMode", "serving.kserve.io/autoscalerClass"
FRAMEWORKS = tuple(OLD_STYLE)
COMPONENTS = ("predictor", "transformer", "explainer")
OLD_MODES = {"RawDeployment": "Standard", "Serverless": "Knative"}
ISVC, RUNTIMES = "InferenceService", ("ServingRuntime", "ClusterServingRuntime")


NAME = the.like("metadata name", "[a-z]([-a-z0-9]*[a-z0-9])?",
            "'{}' is no name of a service: a-z, 0-9 and '-', a letter first")  # fmt: skip
_RUNTIME_SPECS = the.of(*RUNTIMES)
components = the.below(the.of(ISVC), *COMPONENTS)
predictors = the.below(the.of(ISVC), "predictor")
models = the.below(predictors, "model", *FRAMEWORKS)  # a framework's name stands in place of `model`
_LISTS = ("containers *", "initContainers *", "workerSpec containers *", "workerSpec initContainers *")


def containers(resource: Resource) -> Iterable[Looks]:
    """Of components, runtimes and their workers."""
    found = (the.below(parts, *_LISTS)(resource) for parts in (components, _RUNTIME_SPECS))
    return [*(one for some in found for one in some), *models(resource)]


def workers(resource: Resource) -> Iterable[Looks]:
    """What runs on several nodes: a predictor, or a runtime."""
    found = [*predictors(resource), *_RUNTIME_SPECS(resource)]
    return [one for one in found if isinstance(one.get("workerSpec"), dict)]


def spread_models(resource: Resource) -> Iterable[Looks]:
    """Models on several nodes, by the container that runs them first."""
    own = the.below(workers, "containers *")(resource) if resource.kind in RUNTIMES else ()
    main = (one for one in own if one.text("name") == "kserve-container")
    return [*the.below(workers, "model")(resource), *main]


def mode_of(resource: Resource) -> str:
    """The deployment mode, by its newer name; '' where the cluster's own applies."""
    return OLD_MODES.get(resource.note(MODE), resource.note(MODE))
