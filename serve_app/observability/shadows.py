"""What becomes of shadows' copies: counters of their own, and a line for what differs."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from serve_app.core.shadow.answering import REASONS
from serve_app.core.shadow.copies import Copies
from serve_app.core.shadow.jobs import Job
from serve_app.internals.serve_gauge import Gauge
from serve_app.observability.logs import LINES, cut
from serve_app.routing.comparing import Compared
from serve_app.routing.tally import Pair

_FLUSH_S = 1.0
_OF = ("model_name", "model_version", "shadow_version")


class ShadowMetrics:
    """Implements `serve_app.core.shadow.copies.Hears`; to be made inside a Serve replica."""

    def __init__(self) -> None:
        # As gauges that add up: a counter of Ray's has no zero, and a rate misses what comes first.
        self._compared = Gauge(
            "shadow_compared_total", "Copies of requests whose answers were compared.", _OF
        )
        self._differed = Gauge("shadow_differed_total", "Those of them that differ.", _OF)
        self._kinds = Gauge(
            "shadow_differences_total",
            "By kind: value, text, shape, datatype, output, error. An answer may differ in several.",
            (*_OF, "kind"),
        )
        self._dropped = Gauge(
            "shadow_dropped_total",
            f"Requests of which no copy was compared, by reason: {', '.join(REASONS)}.",
            ("model_name", "shadow_version", "reason"),
        )
        self._waiting = Gauge("shadow_queued", "Copies that wait.", ("model_name",))
        self._bytes = Gauge("shadow_bytes", "Memory of requests that are copied.", ("model_name",))
        self.copies: Mapping[str, Copies] = {}
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._differing: Counter[tuple[str, str, str]] = Counter()
        self._by_kind: Counter[tuple[str, str, str, str]] = Counter()
        self._drops: Counter[tuple[str, str, str]] = Counter()
        self._said, self._unsaid = 0.0, 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(_FLUSH_S, self._flush)

    def compared(self, pair: Pair, job: Job, found: Compared) -> None:
        """Counted now, handed on later; of the differences of a second one is written down."""
        of = job.request.model, pair.primary, pair.shadow
        self._counts[of] += 1
        if found.same:
            return
        self._differing[of] += 1
        for kind in {one.kind for one in found.differences}:
            self._by_kind[*of, kind] += 1
        now = time.monotonic()
        if now - self._said < _FLUSH_S:
            self._unsaid += 1
            return
        # Where and how much, and nothing out of the answers: examples are kept where that is configured.
        line = {
            "time": round(time.time(), 3), "event": "shadow", "id": cut(job.request.id), "model": of[0],
            "version": pair.primary, "shadow": pair.shadow,
            "differences": [f"{one.output}: {one.text}" for one in found.differences[:8]],
        }  # fmt: skip
        if self._unsaid:
            line["more"] = self._unsaid
        self._said, self._unsaid = now, 0
        LINES.write(line)

    def dropped(self, model: str, version: str, reason: str) -> None:
        """One more."""
        self._drops[model, version, reason] += 1

    def _flush(self) -> None:
        self._loop.call_later(_FLUSH_S, self._flush)
        for of in list(self._counts):
            self._compared.set(self._counts[of], *of)
            self._differed.set(self._differing[of], *of)
        for key, count in self._by_kind.items():
            self._kinds.set(count, *key)
        for name, copies in self.copies.items():
            for reason in REASONS:
                version = copies.config.version
                self._dropped.set(self._drops[name, version, reason], name, version, reason)
            self._waiting.set(copies.waiting, name)
            self._bytes.set(copies.held, name)
