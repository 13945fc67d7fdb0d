"""A request held against a version's declared inputs and outputs."""

from collections.abc import Iterable

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.classification import check as check_classes
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, InferRequest


def validated(request: InferRequest, version: VersionDescription, batched: bool = False) -> Arrays:
    """The request's arrays in the declared order; InvalidArgument names tensor, expected and got.

    `batched`: whether the first dimension is the batch's.
    """
    arrays: Arrays = {}
    given = {tensor.name: tensor for tensor in request.inputs}
    if len(given) != len(request.inputs):
        twice = repeated(tensor.name for tensor in request.inputs)
        raise InvalidArgument(f"tensor '{twice}' is given twice")
    if not version.inputs:
        return {name: tensor.data for name, tensor in given.items()}
    for spec in version.inputs:
        tensor = given.pop(spec.name, None)
        if tensor is None:
            if spec.optional:
                continue
            raise InvalidArgument(
                f"tensor '{spec.name}' is missing: expected {spec.datatype} {list(spec.shape)}"
            )
        if tensor.datatype != spec.datatype:
            raise InvalidArgument(
                f"tensor '{spec.name}': expected datatype {spec.datatype}, got {tensor.datatype}"
            )
        array = tensor.data
        if spec.text:
            check_text(array, spec.name)
        if not spec.accepts(array.shape):
            # A value without dimensions comes as [1] too: metadata and configuration say so.
            if not spec.dims(batched) and array.shape[-1:] == (1,) and spec.accepts(array.shape[:-1]):
                arrays[spec.name] = array.reshape(array.shape[:-1])
                continue
            raise InvalidArgument(
                f"tensor '{spec.name}': expected shape {list(spec.shape)} (-1 is any), "
                f"got {list(tensor.data.shape)}"
            )
        arrays[spec.name] = array
    for name in given:
        expected = ", ".join(spec.name for spec in version.inputs)
        raise InvalidArgument(f"tensor '{name}' is not an input of this model: expected {expected}")
    return arrays


def check_text(array: np.ndarray, tensor: str) -> None:
    """InvalidArgument for BYTES that aren't UTF-8: before they are in a batch with others.

    In one go: a line's end between them can't complete what was broken off.
    """
    try:
        b"\n".join(array.flat).decode()
    except UnicodeDecodeError:
        for index, item in enumerate(array.flat):
            try:
                item.decode()
            except UnicodeDecodeError as error:
                raise InvalidArgument(
                    f"tensor '{tensor}': element {index} is not valid UTF-8: {error.reason} "
                    f"at byte {error.start}"
                ) from None


def check_outputs(request: InferRequest, model: str, version: VersionDescription) -> None:
    """InvalidArgument when an output is asked for twice, or isn't one of the declared."""
    if request.outputs is None:
        return
    declared = {} if version.passes else {spec.name: spec.datatype for spec in version.outputs}
    if (twice := repeated(output.name for output in request.outputs)) is not None:
        raise InvalidArgument(f"output '{twice}' is asked for twice")
    for output in request.outputs:
        if declared and output.name not in declared:
            raise InvalidArgument(
                f"output '{output.name}' is not an output of model '{model}', "
                f"which has {', '.join(declared)}"
            )
        if declared and output.classes:
            check_classes(output.name, declared[output.name])


def repeated(names: Iterable[str]) -> str | None:
    """The first name that comes again; a step for each name, however many a request may hold."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def wanted(request: InferRequest, outputs: Arrays) -> list[str]:
    """The names of the outputs to send, in the order that was asked for."""
    if request.outputs is None:
        return list(outputs)
    names = [output.name for output in request.outputs]
    for name in names:
        if name not in outputs:  # only a model with undeclared outputs gets here
            raise InvalidArgument(
                f"output '{name}' is not an output of model '{request.model}', "
                f"which answered {', '.join(outputs) or 'nothing'}"
            )
    return names
