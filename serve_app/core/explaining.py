"""A request for an explanation becomes one to the model that explains.

An explainer is a model among the others, with its own queue, limits and counters. So an explanation
takes no place that a prediction might have. What it explains, and for how long, goes with the request.
"""

from dataclasses import replace

from serve_app.core.call import Call
from serve_app.core.directory import Directory
from serve_app.core.version import Version
from serve_app.errors import NotFound, Unsupported
from serve_app.protocol.explanations import METHOD, READS, SECONDS, VERSION
from serve_app.protocol.rest_codec import tensors_from
from serve_app.protocol.tensors import InferRequest


def explained(directory: Directory, name: str, number: str = "", call: Call | None = None) -> Version:
    """The version that would answer. Unsupported where nothing explains the model."""
    version = directory.model(name).pick(number, call)
    if not directory.explainer(name) and not version.explains:
        raise Unsupported(
            f"model '{version.model}' has no explainer: an application with `explains: {version.model}`"
        )
    return version


def by_itself(directory: Directory, version: Version) -> bool:
    """Whether it is asked for an explanation as it is for a prediction: no explainer takes its place."""
    return version.explains and not directory.explainer(version.model)


def explaining(directory: Directory, call: Call, seconds: float) -> tuple[Version, Call]:
    """The version that is explained, and the call to its explainer, or the same call where it explains
    itself. InvalidArgument for wrong inputs.
    """
    request = call.request
    version = explained(directory, request.model, request.version, call)
    if by_itself(directory, version):
        return version, call
    arrays, parameters = version.asked(replace(request, outputs=None))
    explainer = directory.explainer(version.model)
    tensors = tensors_from(arrays, list(arrays))
    own = InferRequest(explainer, _same(directory, explainer, version), request.id, tensors)
    own.outputs, own.binary_output = request.outputs, request.binary_output
    own.parameters = {**parameters, VERSION: version.number, SECONDS: seconds}
    if "timeout" in request.parameters:
        own.parameters["timeout"] = request.parameters["timeout"]
    headers, transport, principal = call.headers, call.transport, call.principal
    asked = Call(own, headers, transport, principal, request_id=call.request_id, verb="explain")
    asked.decoding = call.decoding
    return version, asked


def one_of(directory: Directory, name: str, number: str) -> str:
    """The version for each of the batches that are asked for one explanation: where requests that name
    none are shared among versions, the one that has most of them, which is described, too."""
    model = directory.model(name)
    if number or model.split is None:
        return number
    return model.pick().number


def _same(directory: Directory, explainer: str, version: Version) -> str:
    """The explainer's version of that number, where it has files of its own; '' where it has none."""
    model = directory.model(explainer)
    if version.number in model.versions:
        return version.number
    if any(one.signature.properties.get(METHOD) in READS for one in model.versions.values()):
        raise NotFound(
            f"version {version.number} of model '{version.model}' has no explainer: '{explainer}' has "
            f"{', '.join(model.versions)}"
        )
    return ""
