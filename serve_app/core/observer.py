"""Who hears of calls: metrics and logs; payload logs, traces and rollouts are more of the kind."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from serve_app.core.call import Call
from serve_app.core.target import Relayed
from serve_app.core.version import Version
from serve_app.protocol.tensors import Arrays

log = logging.getLogger("tandem")


class Observer(Protocol):
    """Hears of each call on the event loop: what takes long belongs elsewhere."""

    def begun(self, call: Call) -> None:
        """It was decoded and goes to its model. Not told of one that couldn't be decoded."""

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None:
        """The model ran once, for `requests` of `rows` together.

        `queued`: seconds in the queue, all requests' together; `seconds`: of this execution.
        """

    def finished(self, call: Call) -> None:
        """It has an answer or an error: `status`, `seconds`, `version` and `response` say which."""


class Tap(Protocol):
    """Hears what observers don't, of calls that they heard begin: pieces of streams, and the bodies of
    another protocol. On the event loop, and raises nothing.
    """

    def stream(self, call: Call) -> Callable[[Arrays], None] | None:
        """What wants each piece of the answer as it goes out; None where nobody does."""

    def relay(
        self, call: Call, path: str, body: bytes, asked: dict[str, Any], answer: Relayed
    ) -> Relayed:
        """The answer, or one that is the same and listened to."""


class Observers:
    """Tells each; may be given others at any time. One that raises harms no request, nor the others."""

    __slots__ = ("each",)

    def __init__(self, *each: Observer) -> None:
        self.each = each

    def begun(self, call: Call) -> None:
        for one in self.each:
            try:
                one.begun(call)
            except Exception:
                log.exception("%s failed", type(one).__name__)

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None:
        for one in self.each:
            try:
                one.executed(version, rows, requests, queued, seconds)
            except Exception:
                log.exception("%s failed", type(one).__name__)

    def finished(self, call: Call) -> None:
        for one in self.each:
            try:
                one.finished(call)
            except Exception:
                log.exception("%s failed", type(one).__name__)

    def node(
        self, call: Call, graph: str, node: str, seconds: float, error: BaseException | None
    ) -> None:
        """A request of a graph left one of its nodes: after so long, with that error where it failed.

        Told to those that have this method, too.
        """
        for one in self.each:
            if (hear := getattr(one, "node", None)) is None:
                continue
            try:
                hear(call, graph, node, seconds, error)
            except Exception:
                log.exception("%s failed", type(one).__name__)
