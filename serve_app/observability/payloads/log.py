"""Which loggers hear of a request, and what they are told."""

import logging
import time
from collections.abc import Container, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import count

from serve_app.config.payloads import PayloadLogger
from serve_app.core.call import Call
from serve_app.core.graphs.asked import StepCall
from serve_app.core.graphs.documents import DocumentRequest
from serve_app.core.version import Version
from serve_app.observability.payloads.record import (
    Bytes,
    Record,
    Tensors,
    document,
    held,
    metadata,
)
from serve_app.observability.payloads.sender import Sender
from serve_app.protocol.tensors import InferRequest
from serve_app.protocol.wire import Buffer
from serve_app.redact import redacted

log = logging.getLogger("tandem")

END_S = 5.0  # that a logger may go on sending when it isn't wanted any more


@dataclass(slots=True)
class Exchange:
    """A request over HTTP and its answer, seen from outside. `most`: bytes of a body that somebody
    wanted when it began; `call`: what it is inside.
    """

    headers: list[tuple[bytes, bytes]]
    began: float
    most: int
    call: Call | None = None
    request: list[Buffer] = field(default_factory=list)
    asked: int = 0  # bytes
    answer: list[Buffer] = field(default_factory=list)
    answered: int = 0
    status: int = 0
    answer_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Unheard:
    """An exchange for which nobody has room: only its call is noted. As little as can be."""

    call: Call | None = None


EXCHANGE: ContextVar[Exchange | Unheard | None] = ContextVar("exchange", default=None)


class PayloadLog:
    """Implements `serve_app.core.observer.Observer`.

    What comes over HTTP is told by `serve_app.ingress.payloads`, in its bytes; here it is only noted
    whose call it became. All else (gRPC, the steps of graphs) is told by its tensors.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self.senders: Sequence[Sender] = ()
        self._ending: list[Sender] = []
        self.most = 0  # bytes of a body that somebody wants

    def all(self) -> list[Sender]:
        """Those that there are, and those of before that still send."""
        return [*self.senders, *self._ending]

    def forget(self, ended: Container[Sender]) -> None:
        """Of those of before, what these send is over, and counted."""
        self._ending = [one for one in self._ending if one not in ended]

    @property
    def full(self) -> bool:
        """Whether no logger has room."""
        for one in self.senders:  # noqa: SIM110 - for each request, and a generator takes twice as long
            if not one.waiting.full:
                return False
        return True

    def configure(self, loggers: Sequence[PayloadLogger]) -> None:
        """Have these. One that is what it was goes on, and the others send what they have."""
        left, stay = list(self.senders), dict[int, Sender]()
        for index, config in enumerate(loggers):
            if (there := next((one for one in left if one.config == config), None)) is not None:
                left.remove(there)
                stay[index] = there
        taken = {one.name for one in stay.values()} | {config.name for config in loggers}
        made: list[Sender] = []
        for index, config in enumerate(loggers):
            if index in stay:
                made.append(stay[index])
                continue
            name = config.name or next(str(n) for n in count(index) if str(n) not in taken)
            taken.add(name)
            try:
                made.append(Sender(name, config, self._own))
            except Exception as error:  # the other loggers, and all else of the configuration, go on
                log.error("payloads '%s' are not logged: %s", name, redacted(f"{error}"))
        for one in left:
            one.end(END_S)
            self._ending.append(one)
        self.senders = made
        self.most = max((one.config.max_body_bytes for one in made), default=0)

    def close(self, seconds: float) -> None:
        """Send what is there for so long, and wait for that."""
        senders, self.senders = self.all(), []
        for one in senders:
            one.end(seconds)
        until = time.monotonic() + seconds
        for thread in (thread for one in senders for thread in one.threads):
            thread.join(max(0.0, until - time.monotonic()))

    def begun(self, call: Call) -> None:
        """Note whose call an exchange is; steps of graphs come after the graph."""
        exchange = EXCHANGE.get()
        if exchange is not None and exchange.call is None:
            exchange.call = call

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None: ...

    def finished(self, call: Call) -> None:
        """Tell of one that isn't an exchange's own."""
        exchange = EXCHANGE.get()
        if exchange is not None and exchange.call in (None, call):
            exchange.call = call
            return
        if call.seconds is None or not call.model:
            return  # it couldn't be decoded, or has no model
        answered = call.status == "OK" and call.response is not None
        if not (chosen := self._chosen(call.model, answered)):
            return
        now, request = time.time(), call.request
        asked: Bytes | Tensors
        answer: Bytes | Tensors | None = None
        if isinstance(request, DocumentRequest):
            asked = document(request.document)
            answer = document(request.answer) if answered else None
        else:
            asked = Tensors(_as_asked(request) if isinstance(call, StepCall) else request)
            answer = Tensors(call.response) if answered and call.response is not None else None
        self._tell(chosen, call, now - call.seconds, now, asked, answer)

    def over(self, exchange: Exchange) -> None:
        """An exchange has ended, however it did."""
        call = exchange.call
        if call is None or not call.model:
            return
        if not (chosen := self._chosen(call.model, exchange.status == 200)):
            return
        most = exchange.most
        parts = list(exchange.request) if exchange.asked <= most else None
        asked = Bytes(dict(exchange.headers), parts, exchange.asked)
        answer = None
        if exchange.status == 200:
            headers = dict(exchange.answer_headers)
            parts = list(exchange.answer) if exchange.answered <= most else None
            answer = Bytes(headers, parts, exchange.answered)
        self._tell(chosen, call, exchange.began, time.time(), asked, answer)

    def unheard(self, call: Call | None, answered: bool) -> None:
        """An exchange has ended for which nobody had room when it began."""
        if call is None or not call.model:
            return
        for one in self.senders:
            if one.wants(call.model):
                one.waiting.turn_away(one.asks + one.answers if answered else one.asks)

    def _chosen(self, model: str, answered: bool) -> list[Sender]:
        """Who is to hear of a request. Whoever has no room isn't told, which is counted: nothing is made
        for a sink that is dead.
        """
        found = []
        for one in self.senders:
            if not one.wants(model):
                continue
            if one.waiting.full:
                one.waiting.turn_away(one.asks + one.answers if answered else one.asks)
            else:
                found.append(one)
        return found

    def _tell(
        self,
        chosen: list[Sender],
        call: Call,
        began: float,
        ended: float,
        asked: Bytes | Tensors,
        answer: Bytes | Tensors | None,
    ) -> None:
        pairs = list(call.headers.items())
        first = dict(reversed(pairs))  # of several of a name
        trace = first.get("traceparent")
        said = {"traceparent": trace} if trace else {}
        id = first.get("ce-id") or call.request_id or call.request.id
        version = call.version.number if call.version else ""
        for one in chosen:
            more = {**said, "metadata": metadata(pairs, one.config.metadata_headers)}
            most = one.config.max_body_bytes
            if one.asks:
                body, bytes_ = held(asked, most)
                of = "request", id, began, call.model, version, body
                one.waiting.offer(Record(*of, asked.size, bytes_, more))
            if one.answers and answer is not None:
                body, bytes_ = held(answer, most)
                of = "response", id, ended, call.model, version, body
                one.waiting.offer(Record(*of, answer.size, bytes_, more))


def _as_asked(request: InferRequest) -> InferRequest:
    """Of a step: without the time that was left for it, which nobody sent."""
    parameters = {name: value for name, value in request.parameters.items() if name != "timeout"}
    return replace(request, parameters=parameters)
