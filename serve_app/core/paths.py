"""Which way requests take: the fast path, or Serve's own wrapping of each, by transport."""

from collections import Counter
from typing import Literal

Transport = Literal["http", "grpc", "batches", "streams"]
FAST, SERVE = "fast", "serve"


class Paths:
    """Counts since they were last taken. Where an upstream detail is missing, the second goes up."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[Transport, str]] = Counter()

    def fast(self, transport: Transport) -> None:
        """One more by the fast path."""
        self._counted[transport, FAST] += 1

    def serve(self, transport: Transport) -> None:
        """One more by Serve's way."""
        self._counted[transport, SERVE] += 1

    def take(self) -> Counter[tuple[Transport, str]]:
        """What was counted, which begins again at zero."""
        counted, self._counted = self._counted, Counter()
        return counted
