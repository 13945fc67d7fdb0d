"""What a V2 request and response hold, whichever codec they came through."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Parameters = dict[str, Any]
Arrays = dict[str, np.ndarray]


@dataclass(slots=True)
class Tensor:
    """A named array. Its shape is `data.shape`; `data` may be a read-only view of the request.

    `parameters`: those of its own, as they came, which another server of the protocol may read.
    """

    name: str
    datatype: str
    data: np.ndarray
    parameters: Parameters | None = None


@dataclass(slots=True)
class RequestedOutput:
    """One output a client asked for; `binary` is its answer form over HTTP.

    `classes`: so many of its highest values are wanted, with their labels, instead of the output itself.
    """

    name: str
    binary: bool = False
    classes: int = 0


@dataclass(slots=True)
class InferRequest:
    """A decoded inference request. `outputs` None means all of them."""

    model: str
    version: str
    id: str
    inputs: list[Tensor]
    outputs: list[RequestedOutput] | None = None
    parameters: Parameters = field(default_factory=dict)
    binary_output: bool = False  # the default for outputs that don't say; HTTP only


@dataclass(slots=True)
class InferResponse:
    """An answer, to encode or decoded by a client; `final` unless more of a stream follow."""

    model: str
    version: str
    id: str
    outputs: list[Tensor]
    final: bool = True

    @property
    def arrays(self) -> Arrays:
        """The outputs by name."""
        return {tensor.name: tensor.data for tensor in self.outputs}


@dataclass(slots=True)
class TensorSpec:
    """A declared input or output; -1 in `shape` matches any size, `any_rank` any shape.

    `text`: its BYTES have to be UTF-8. `labels`: of an output's classes, by their index.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    example: list[Any] | None = None
    any_rank: bool = False
    text: bool = False
    labels: list[str] | None = None

    def dims(self, batched: bool) -> tuple[int, ...]:
        """The shape of one row: without the first dimension where that is the batch's."""
        return self.shape[1:] if batched else self.shape

    def asked(self, batched: bool) -> tuple[int, ...]:
        """The shape as Triton's clients know it, who have no value without dimensions."""
        return self.shape if self.dims(batched) else (*self.shape, 1)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` fits."""
        if self.any_rank:
            return True
        if len(shape) != len(self.shape):
            return False
        return all(want in (-1, got) for want, got in zip(self.shape, shape, strict=True))
