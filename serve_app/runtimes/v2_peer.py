"""What is asked of another V2 server, whichever transport it speaks."""

import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol

from serve_app.config import V2Options
from serve_app.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    Overloaded,
    TandemError,
)
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferRequest, InferResponse, TensorSpec
from serve_app.redact import redacted

_MOST_SAID = 500
LOOK_S = 5.0  # that a look at readiness or metadata may take


@dataclass(frozen=True, slots=True)
class Asked:
    """Which model it is there; without a version, the one that the server chooses."""

    model: str
    version: str


class Lost(Exception):
    """Nothing was answered, or that it may be asked again: inference has no effects."""


class Peer(Protocol):
    """One model of another server."""

    def why_not(self) -> str:
        """Why it isn't ready; '' when it is. Blocks."""

    def about(self) -> VersionDescription:
        """What it says its inputs and outputs are. Blocks."""

    def in_pieces(self) -> bool:
        """Whether the model answers a request by as many responses as it likes (Triton: decoupled), and
        can be asked so here. Blocks."""

    async def infer(self, request: InferRequest, seconds: float | None) -> InferResponse:
        """Its answer. TandemError, or Lost where it may be asked again."""

    def stream(self, request: InferRequest) -> AsyncGenerator[tuple[InferResponse, bool], None]:
        """What such a model answers, and whether each is the last. As `infer`."""

    def close(self) -> None:
        """From any thread."""


def token(options: V2Options) -> str:
    """The bearer token that goes with each request; '' for none."""
    return os.environ.get(options.token_variable, "") if options.token_variable else ""


def refusal(kind: str, text: str, model: str) -> TandemError:
    """What the other server says as an error of ours. `kind`: client, late, busy, or anything else."""
    said = redacted(" ".join(text.split()))[:_MOST_SAID] or "nothing more"
    if kind == "client":
        return InvalidArgument(said)
    if kind == "late":
        return DeadlineExceeded(f"the server of model '{model}' was too late: {said}")
    if kind == "busy":
        return Overloaded(f"the server of model '{model}' is busy: {said}")
    found = ModelFailed(f"the server of model '{model}' failed ({kind})")
    found.said = said
    return found


def no_v2(model: str, error: TandemError) -> ModelFailed:
    """Of an answer that isn't one."""
    return ModelFailed(f"the server of model '{model}' answered no V2: {error}")


def spec(entry: Any) -> TensorSpec:
    """Of a tensor in a server's metadata; what it leaves out is anything."""
    shape = tuple(int(size) for size in entry.get("shape") or ())
    return TensorSpec(str(entry["name"]), str(entry.get("datatype") or "FP32"), shape or (-1,))
