"""A graph as a model of one version, so that all that is said and asked of models goes for it."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from serve_app.config.graph import Graph, Step
from serve_app.core.call import Call
from serve_app.core.cold import NOWHERE
from serve_app.core.directory import Directory, Model
from serve_app.core.graphs.asked import GRAPH, Asker
from serve_app.core.graphs.documents import Document, DocumentRequest, Documents
from serve_app.core.graphs.signature import signature
from serve_app.core.graphs.tensors import Message, Tensors
from serve_app.core.lanes import Who
from serve_app.core.observer import Observers
from serve_app.core.pipeline import GONE
from serve_app.core.places import HasTime
from serve_app.core.version import State, Version
from serve_app.errors import (
    ModelFailed,
    NotFound,
    TandemError,
    Unavailable,
    VersionGone,
    reworded,
)
from serve_app.protocol.metadata import ModelDescription, Statistics, VersionDescription
from serve_app.protocol.tensors import Arrays, InferRequest
from serve_app.routing.graph import Answer, Router

M = TypeVar("M")
SOURCE = "(graphs)"  # no application is called so
NUMBER = "1"
_ASKED: ContextVar[Call] = ContextVar("asked")  # the call of the graph that is run
_OPEN = Version("", "1", ModelDescription("", "", {"1": VersionDescription([], [])}), NOWHERE,
                Statistics(), Observers())  # fmt: skip
_OPEN.ready()


class GraphModel(Model):
    """The name of a graph. Requests are let in whether or not all of its models answer: KServe's router
    goes as far as it comes.
    """

    def put(self, version: "GraphVersion") -> None:
        """Serve this one, in the place of the one before."""
        version.ready()
        self._sources = {**self._sources, SOURCE: [version]}
        self._waiting.pop(SOURCE, None)
        self._settle()

    def check(self, version: Version, call: HasTime) -> None:
        """As a model that is ready."""
        super().check(_OPEN if isinstance(version, GraphVersion) else version, call)

    def admit(self, version: Version, call: HasTime) -> None:
        """As a model; its steps are asked as this call's."""
        super().admit(version, call)
        if isinstance(call, Call):
            _ASKED.set(call)


class GraphVersion(Version):
    """What runs a graph. It is ready while all of its models are; its signature is what theirs make."""

    platform = GRAPH

    def __init__(
        self,
        graph: Graph,
        directory: Directory,
        asker: Callable[[Call], Asker],
        counters: Statistics,
        observers: Observers,
    ) -> None:
        self.graph = graph
        self._directory, self._asker = directory, asker
        self._router, self._node = Router[Message](graph), observers.node
        self._documents = Router[Document](graph)
        self._steps = [step for _, step in graph.steps() if step.service_name]
        self._of: list[VersionDescription | None] = []
        self._signature = VersionDescription([], [])
        about = ModelDescription(graph.name, self.platform, {NUMBER: self._signature})
        super().__init__(graph.name, NUMBER, about, NOWHERE, counters, observers)

    def _queue(self, slots: int, spare: int) -> None:
        """None: its models have theirs."""

    def serves(self, about: ModelDescription, target: object) -> bool:
        """Never what a model would be."""
        return False

    @property
    def signature(self) -> VersionDescription:
        """Found anew when that of a model is another."""
        of = [self._declared(step) for step in self._steps]
        if len(of) != len(self._of) or any(
            one is not two for one, two in zip(of, self._of, strict=True)
        ):
            known = dict(zip(map(id, self._steps), of, strict=True))
            self._of, self._signature = of, signature(self.graph, lambda step: known[id(step)])
        return self._signature

    @signature.setter
    def signature(self, found: VersionDescription) -> None: ...

    @property
    def state(self) -> State:
        """READY while all of its models are."""
        return State.UNAVAILABLE if self._state is State.READY and self.reason else self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state

    @property
    def reason_of_its_own(self) -> str:
        """Why it isn't, whatever its models are."""
        return self._reason

    @property
    def reason(self) -> str:
        """Why it isn't."""
        return self._reason or next(filter(None, map(self._why_not, self._steps)), "")

    @reason.setter
    def reason(self, reason: str) -> None:
        self._reason = reason

    def _pick(self, step: Step) -> Version:
        return self._directory.model(step.service_name or "").pick(step.model_version or "")

    def _declared(self, step: Step) -> VersionDescription | None:
        try:
            return self._pick(step).signature
        except TandemError:
            return None

    def _why_not(self, step: Step) -> str:
        try:
            picked = self._pick(step)
        except TandemError as error:
            return error.message
        if picked.state is State.READY:
            return ""
        return f"model '{step.service_name}' is not ready: {picked.reason}"

    async def predict(self, request: InferRequest, who: Who | None = None) -> Arrays:
        """Run a request through the graph; of a document the answer is put into it."""
        call, began = _ASKED.get(), time.monotonic()
        asker = self._asker(call)

        def heard(node: str, seconds: float, error: BaseException | None) -> None:
            self._node(call, self.model, node, seconds, error)

        if isinstance(request, DocumentRequest):
            form = Documents(asker, request.large)
            found = await self._documents.route(form, request.document, heard)
            request.large = form.large
            request.answer = given(found, request)
            arrays: Arrays = {}
        else:
            message = Message(request.inputs, request=request)
            answer = given(await self._router.route(Tensors(asker), message, heard), request)
            arrays = {tensor.name: tensor.data for tensor in answer.tensors}
        self.executed(1, 1, 0.0, time.monotonic() - began)
        return arrays


def asked_by() -> Call:
    """The call that is being answered."""
    return _ASKED.get()


def given(answer: Answer[M], request: InferRequest) -> M:
    """The message, or the error that its step failed with, to be told as this graph's."""
    error = answer.error
    if error is None:
        return answer.message
    if isinstance(error, ModelFailed):
        failed = reworded(
            error, str(error).removesuffix(f" (request id {request.id[:128]})"), error.said
        )
        failed.logged = True
        raise failed from None
    if isinstance(error, GONE):  # its own successor was looked for
        raise (NotFound if isinstance(error, VersionGone) else Unavailable)(error.message) from None
    raise error
