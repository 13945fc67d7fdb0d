"""A user's class before and behind a model, under a name of its own, as KServe's transformers are.

To everybody else it is a graph of one step; what it is asked over V1 is a document, as a graph's is.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from serve_app.config.graph import Graph
from serve_app.config.transformer import Transformer
from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Directory
from serve_app.core.graphs.asked import TRANSFORMER, Asker
from serve_app.core.graphs.documents import Document, DocumentRequest, Documents
from serve_app.core.graphs.version import (
    NUMBER,
    SOURCE,
    GraphModel,
    GraphVersion,
    asked_by,
    given,
)
from serve_app.core.lanes import Who
from serve_app.core.later import Again, with_pause
from serve_app.core.observer import Observers
from serve_app.errors import TandemError, Unavailable, words
from serve_app.protocol.metadata import Statistics, VersionDescription
from serve_app.protocol.tensors import Arrays, InferRequest, InferResponse
from serve_app.routing.graph import Answer

log = logging.getLogger("tandem")


class Asks:
    """How the model behind is asked, for one request."""

    def __init__(self, asker: Asker, predictor: str, request: InferRequest, large: bool) -> None:
        self._asker, self._predictor, self._request = asker, predictor, request
        self.large = large

    async def document(self, message: Document) -> Document:
        """By V1."""
        form = Documents(self._asker, self.large)
        found = given(await form.call(self._predictor, "", message), self._request)
        self.large = form.large
        return found

    async def tensors(self, request: InferRequest) -> InferResponse:
        """By V2; whichever model the request names."""
        request.model, request.version = self._predictor, ""
        request.parameters = self._asker.parameters() | request.parameters
        try:
            return await self._asker.ask(request)
        except TandemError as error:
            return given(Answer(InferResponse("", "", "", []), error), self._request)


class Around(Protocol):
    """What runs the class. `passing`: whether a load that failed may go well later, as it is."""

    passing: bool

    @property
    def trouble(self) -> str:
        """Why it refuses what it is asked, for now; '' while it doesn't."""
        ...

    def load(self) -> None:
        """Import and construct it, in a thread; ConfigError where that can't be done."""

    async def document(self, message: Document, headers: dict[str, str], asks: Asks) -> Document:
        """What it answers to one of V1."""

    async def tensors(
        self, request: InferRequest, headers: dict[str, str], grpc: bool, asks: Asks
    ) -> Arrays:
        """What it answers to one of V2."""

    def changed(self) -> bool:
        """Whether its files aren't what they were."""

    def close(self) -> None:
        """It isn't asked any more."""


class TransformerVersion(GraphVersion):
    """Runs it. Requests that come while the class is loaded wait for it."""

    platform = TRANSFORMER

    def __init__(
        self,
        config: Transformer,
        around: Around,
        directory: Directory,
        asker: Callable[[Call], Asker],
        counters: Statistics,
        observers: Observers,
    ) -> None:
        steps = [{"serviceName": config.predictor}]
        graph = Graph.model_validate(
            {"name": config.name, "nodes": {"root": {"routerType": "Sequence", "steps": steps}}}
        )
        self.config, self.around = config, around
        self._loaded = asyncio.Event()
        self._asked, self._unwanted = 0, False
        super().__init__(graph, directory, asker, counters, observers)

    @property
    def signature(self) -> VersionDescription:
        """What it takes and gives is the class's to say, and it doesn't."""
        return _OPEN

    @signature.setter
    def signature(self, found: VersionDescription) -> None: ...

    @property
    def reason(self) -> str:
        """Why it isn't ready."""
        return self.reason_of_its_own or self.around.trouble or super().reason

    @reason.setter
    def reason(self, reason: str) -> None:
        self._reason = reason

    async def load(self) -> bool:
        """Whether it can be asked."""
        try:
            self.reason = await asyncio.to_thread(self._loads)
        finally:
            self._loaded.set()
        return not self.reason_of_its_own

    def _loads(self) -> str:
        """Load it; why that can't be done."""
        try:
            self.around.load()
        except TandemError as error:
            return error.message
        except BaseException as error:  # SystemExit too: a user's module ends no server
            said = ": ".join(filter(None, (type(error).__name__, words(error))))
            return f"{self.config.class_path} can't be loaded: {said}"
        return ""

    async def predict(self, request: InferRequest, who: Who | None = None) -> Arrays:
        """The class, the model behind it, the class again."""
        self._asked += 1
        try:
            return await self._predict(request)
        finally:
            self._asked -= 1
            self._let_go()

    def retire(self) -> None:
        """Let go of the class once nobody that has begun is asking it any more."""
        self._unwanted = True
        self._let_go()

    def _let_go(self) -> None:
        if self._unwanted and not self._asked:
            self.around.close()

    async def _predict(self, request: InferRequest) -> Arrays:
        call, began = asked_by(), time.monotonic()
        await self._loaded.wait()
        if why := self.reason_of_its_own or self.around.trouble:
            raise Unavailable(f"transformer '{self.model}' is not ready: {why}")
        headers = dict(call.headers.items())
        large = isinstance(request, DocumentRequest) and request.large
        asks = Asks(self._asker(call), self.config.predictor, request, large)
        arrays: Arrays = {}
        if isinstance(request, DocumentRequest):
            request.answer = await self.around.document(request.document, headers, asks)
            request.large = asks.large
        else:
            arrays = await self.around.tensors(request, headers, call.transport == "grpc", asks)
        self.executed(1, 1, 0.0, time.monotonic() - began)
        return arrays


_OPEN = VersionDescription([], [])


class Transformers:
    """Those of `plane`. `make`: what runs a class; `spawn` keeps a task."""

    def __init__(
        self,
        plane: DataPlane,
        make: Callable[[Transformer], Around],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._plane, self._make, self._spawn = plane, make, spawn
        self._served: dict[str, TransformerVersion] = {}
        self._wanted: dict[str, Transformer] = {}
        self._begun: dict[str, TransformerVersion] = {}  # the last one of each
        self._again = Again(lambda name: self._begin(self._wanted[name]))

    def configure(self, transformers: Iterable[Transformer]) -> None:
        """Serve these, and no others. One that is what it was stays."""
        known, wanted = self._wanted, {one.name: one for one in transformers}
        self._wanted = wanted
        for name, config in known.items():
            if wanted.get(name) != config:
                self._again.forget(name)
        for name in self._served.keys() - wanted.keys():
            self._plane.directory.remove(name, SOURCE)
            self._served.pop(name).retire()
            self._begun.pop(name)
        for name, config in wanted.items():
            if name not in self._served or self._served[name].config != config:
                self._begin(config)

    def read_again(self) -> None:
        """Those whose files changed, and those that couldn't be loaded."""
        self._again.forget_all()
        for name, version in list(self._served.items()):
            wanted = self._wanted[name]
            if version.around.changed() or version.reason_of_its_own or version.config != wanted:
                self._begin(wanted)

    def _begin(self, config: Transformer) -> None:
        plane, name = self._plane, config.name
        model = plane.directory.models.get(name)
        if not isinstance(model, GraphModel):
            if model is not None:
                log.error("transformer '%s' isn't served: there is a model of that name", name)
                return
            model = plane.directory.models[name] = GraphModel(
                name, plane.observers, plane.directory.room
            )

        def asker(call: Call) -> Asker:
            return Asker(call, plane.directory, plane.infer, plane.awake, plane.refused)

        counters = model.statistics.setdefault(NUMBER, Statistics())
        version = TransformerVersion(
            config, self._make(config), plane.directory, asker, counters, plane.observers
        )
        self._begun[name] = version
        before = self._served.get(name)
        if before is None or before.reason_of_its_own:
            model.put(version)
            self._served[name] = version
        self._spawn(self._take(version, model))

    async def _take(self, version: TransformerVersion, model: GraphModel) -> None:
        """In the place of the one before, if it can be had."""
        good, name = await version.load(), version.config.name
        before = self._served.get(name)
        latest = self._begun.get(name) is version and self._wanted.get(name) == version.config
        if not latest and before is not version:  # loaded for longer than it was wanted
            version.retire()
            return
        if good:
            self._again.forget(name)
        else:
            log.error("transformer '%s': %s", name, version.reason_of_its_own)
            self._try_again(version)
        if before is None or before is version:
            return
        if good:
            model.put(version)
            self._served[name] = version
            before.retire()
        else:
            version.retire()

    def _try_again(self, version: TransformerVersion) -> None:
        """One that failed for now."""
        name = version.config.name
        if version.around.passing and self._wanted.get(name) == version.config:
            seconds = self._again.later(name)
            version.reason = with_pause(version.reason_of_its_own, seconds)
