"""How a graph asks its models: as the same caller, within what is left of the time."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from serve_app.core.call import Call
from serve_app.core.directory import Directory
from serve_app.core.version import Version
from serve_app.errors import DeadlineExceeded, TandemError
from serve_app.protocol.tensors import InferRequest, InferResponse, Parameters
from serve_app.routing.graph import Failed

Infer = Callable[[Call], Awaitable[InferResponse]]
Find = Callable[[str, str], Awaitable[Version]]  # the version that would answer, by model and number

GRAPH, TRANSFORMER = "graph", "transformer"  # the platforms of what takes documents


def is_graph(version: Version) -> bool:
    """Whether a version is a graph (or a class around a model), and no model."""
    return version.about.platform in (GRAPH, TRANSFORMER)


class StepCall(Call):
    """Of one that a graph asks."""

    __slots__ = ()


@dataclass(slots=True)
class Asker:
    """For one request of a graph. `most`: seconds per step. The rest is a data plane's, and its call."""

    call: Call
    directory: Directory
    infer: Infer
    find: Find
    refused: Callable[[Call, TandemError], None]
    most: float | None = None

    async def ask(self, request: InferRequest, chosen: Version | None = None) -> InferResponse:
        """What a model answers, by the version that was chosen for the request if there is one. Raises
        TandemError; Failed where the graph's own limit was reached.
        """
        left = max(1e-3, self.call.deadline - time.monotonic())
        limited = self.most is not None and self.most < left
        seconds = self.most if limited and self.most is not None else left
        request.id = self.call.request.id
        request.parameters = {**request.parameters, "timeout": max(1, int(seconds * 1e6))}
        try:
            return await self.infer(self._as(request, chosen))
        except DeadlineExceeded as error:
            if limited:  # KServe's router gives up, too, instead of taking it for an answer
                raise Failed(str(error)) from None
            raise

    def refuse(self, service: str, version: str, error: TandemError) -> None:
        """Count what a model couldn't even be asked."""
        self.refused(self._as(InferRequest(service, version, self.call.request.id, [])), error)

    def shared(self, service: str) -> Version | None:
        """The version that traffic gives a request to before its inputs are known; None without any."""
        model = self.directory.model(service)
        if model.split is None:
            return None
        bare = InferRequest(service, "", "", [], parameters=self.parameters())
        picked = model.pick("", self._as(bare))
        return None if picked.cold else picked

    def decided(self, first: Version, request: InferRequest) -> Version:
        """The same, once they are."""
        return self.directory.model(first.model).decided(first, self._as(request))

    def parameters(self) -> Parameters:
        """Of the request: models get those that are theirs."""
        return self.call.request.parameters

    def _as(self, request: InferRequest, chosen: Version | None = None) -> Call:
        own = self.call
        made = StepCall(request, own.headers, own.transport, own.principal, request_id=own.request_id)
        made.version = chosen
        return made
