"""What a version answered, as its client asked for it."""

from serve_app.core.signature import wanted
from serve_app.core.version import Version
from serve_app.protocol.classification import classes
from serve_app.protocol.rest_codec import tensors_from
from serve_app.protocol.tensors import Arrays, InferRequest, Tensor, TensorSpec


def answered(request: InferRequest, outputs: Arrays, version: Version) -> list[Tensor]:
    """The outputs to send: all, or those that were asked for, in that order and form."""
    if request.outputs is None:
        return tensors_from(outputs, outputs)
    tensors = tensors_from(outputs, wanted(request, outputs))
    specs = {spec.name: spec for spec in version.signature.outputs}
    for asked, tensor in zip(request.outputs, tensors, strict=True):
        if asked.classes:
            spec = specs.get(asked.name) or TensorSpec(asked.name, tensor.datatype, ())
            # Rows are the batch's, or those of an output whose first dimension may vary.
            rows = version.about.max_batch_size > 0 or (len(spec.shape) > 1 and spec.shape[0] == -1)
            tensor.data = classes(tensor.data, tensor.datatype, asked.classes, rows, spec)
            tensor.datatype = "BYTES"
    return tensors
