"""Who hears of calls: metrics and logs; payload logs, traces and rollouts are more of the kind."""

import logging
from typing import Protocol

from serve_app.core.call import Call
from serve_app.core.version import Version

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
