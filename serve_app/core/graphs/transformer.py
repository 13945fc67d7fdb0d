"""One version of a transformer: a user's class, and the model behind it that is asked in between.

To everybody else it is a graph of one step; what it is asked over V1 is a document, as a graph's is.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from serve_app.config.graph import Graph
from serve_app.config.transformer import Transformer
from serve_app.core.call import Call
from serve_app.core.directory import Directory
from serve_app.core.explaining import explained
from serve_app.core.graphs.asked import TRANSFORMER, Asker
from serve_app.core.graphs.documents import Document, DocumentRequest, Documents, Explanations
from serve_app.core.graphs.version import GraphVersion, asked_by, given
from serve_app.core.lanes import Who
from serve_app.core.observer import Observers
from serve_app.core.version import State
from serve_app.errors import TandemError, Unavailable, Unsupported
from serve_app.protocol.metadata import Statistics, VersionDescription
from serve_app.protocol.tensors import Arrays, InferRequest, InferResponse
from serve_app.routing.graph import Answer

log = logging.getLogger("tandem")


class Asks:
    """How the model behind is asked, for one request. `why`: the one that asks for explanations,
    where that is what the client wants. `answer_headers`: what the class sets, for HTTP.
    """

    def __init__(
        self, asker: Asker, why: Asker | None, predictor: str, request: InferRequest, large: bool
    ) -> None:
        self._asker, self._why = asker, why
        self._predictor, self._request = predictor, request
        self.large = large
        self.answer_headers: Sequence[tuple[bytes, bytes]] = ()

    @property
    def explains(self) -> bool:
        """Whether the client asks why."""
        return self._why is not None

    async def document(self, message: Document, why: bool = False) -> Document:
        """By V1."""
        form = Explanations(self._of(why), self.large) if why else Documents(self._asker, self.large)
        found = given(await form.call(self._predictor, "", message), self._request)
        self.large = form.large
        return found

    async def tensors(self, request: InferRequest, why: bool = False) -> InferResponse:
        """By V2; whichever model the request names."""
        request.model, request.version = self._predictor, ""
        request.parameters = self._asker.parameters() | request.parameters
        try:
            return await self._of(why).ask(request)
        except TandemError as error:
            return given(Answer(InferResponse("", "", "", []), error), self._request)

    def _of(self, why: bool) -> Asker:
        return self._why if why and self._why else self._asker


class Around(Protocol):
    """What runs the class. `passing`: whether a load that failed may go well later, as it is.
    `explains`: whether the class has an `explain` of its own.
    """

    passing: bool
    explains: bool

    @property
    def trouble(self) -> str:
        """Why it refuses what it is asked, for now; '' while it doesn't."""
        ...

    async def load(self) -> None:
        """Import and construct it, which may never end; TandemError where that can't be done."""

    def where(self) -> str:
        """What it does while it is loaded, as a traceback has it."""
        ...

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
    """Runs it. Requests that come while the class is loaded wait for it, up to a limit."""

    platform = TRANSFORMER

    def __init__(
        self,
        config: Transformer,
        around: Around,
        directory: Directory,
        asker: Callable[[Call, bool], Asker],
        counters: Statistics,
        observers: Observers,
    ) -> None:
        steps = [{"serviceName": config.predictor}]
        graph = Graph.model_validate(
            {"name": config.name, "nodes": {"root": {"routerType": "Sequence", "steps": steps}}}
        )
        self.config, self.around = config, around
        self._settled = asyncio.Event()  # it was loaded, or couldn't be in time
        self.loading = True  # for longer than that, where it must be
        self._asked, self._unwanted = 0, False
        self._asks = asker  # the one that asks why, where that is true
        super().__init__(graph, directory, lambda call: asker(call, False), counters, observers)

    @property
    def signature(self) -> VersionDescription:
        """What it takes and gives is the class's to say, and it doesn't."""
        return _OPEN

    @signature.setter
    def signature(self, found: VersionDescription) -> None: ...

    def ready(self) -> None:
        """In its place; once the class is loaded, ready."""
        if self._settled.is_set():
            super().ready()

    @property
    def reason_of_its_own(self) -> str:
        """Why it can't be had, whatever its model is; '' while its class may be coming."""
        return "" if self._state is State.LOADING else self._reason

    @property
    def reason(self) -> str:
        """Why it isn't ready."""
        return self._reason or self.around.trouble or super().reason

    @reason.setter
    def reason(self, reason: str) -> None:
        self._reason = reason

    @property
    def explains(self) -> bool:  # type: ignore[override]
        """Whether its class does, or the model behind it is explained. Until it is loaded: it may."""
        if self._state is not State.READY or self.around.explains:
            return True
        try:
            explained(self._directory, self.config.predictor)
        except Unsupported:
            return False
        except TandemError:  # the model behind it says so itself
            pass
        return True

    @property
    def tried(self) -> bool:
        """Whether it was loaded, or couldn't be in time."""
        return self._settled.is_set()

    async def load(self, late: Callable[[str], None]) -> bool:
        """Whether it can be asked. After the limit this goes on waiting, requests are refused and `late`
        hears why.
        """
        timer = asyncio.get_running_loop().call_later(self.config.load_timeout, self._late, late)
        try:
            await self.around.load()
        except TandemError as error:
            self.unavailable(error.message)
            return False
        finally:
            timer.cancel()
            self.loading = False
            self._settled.set()
        self.ready()
        return True

    def _late(self, told: Callable[[str], None]) -> None:
        why = f"it is loading for more than {self.config.load_timeout:g} s (loadTimeout)"
        log.error("transformer '%s': %s:\n%s", self.model, why, self.around.where())
        self.unavailable(why)
        self._settled.set()
        told(why)

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
        await self._settled.wait()
        if why := self.reason_of_its_own or self.around.trouble:
            raise Unavailable(f"transformer '{self.model}' is not ready: {why}")
        headers = dict(call.headers.items())
        large = isinstance(request, DocumentRequest) and request.large
        explains = self._why(call) if call.verb == "explain" else None
        asks = Asks(self._asker(call), explains, self.config.predictor, request, large)
        arrays: Arrays = {}
        if isinstance(request, DocumentRequest):
            request.answer = await self.around.document(request.document, headers, asks)
            request.large = asks.large
        else:
            arrays = await self.around.tensors(request, headers, call.transport == "grpc", asks)
        call.answer_headers = asks.answer_headers
        self.executed(1, 1, 0.0, time.monotonic() - began)
        return arrays

    def _why(self, call: Call) -> Asker:
        """Unsupported where it turned out that nothing explains it."""
        explained(self._directory, self.model)
        return self._asks(call, True)


_OPEN = VersionDescription([], [])
