"""Names in requests to explainers and in their answers."""

from serve_app.protocol.tensors import InferResponse

# Parameters that the Router adds: which version of the model is explained, and how long that may take.
VERSION, SECONDS = "_version", "_seconds"

# An output of one text, JSON: V1 gives it as the whole answer.
DOCUMENT = "explanation"

# A property in an explainer's metadata, and the methods that read the model's own files.
METHOD = "method"
READS = ("shap", "integratedGradients")


def document(response: InferResponse) -> bytes | None:
    """The JSON that is the whole answer; None where there are tensors."""
    if len(response.outputs) != 1:
        return None
    (output,) = response.outputs
    if output.name != DOCUMENT or output.datatype != "BYTES" or output.data.size != 1:
        return None
    found: bytes = output.data.ravel()[0]
    return found
