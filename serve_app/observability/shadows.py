"""What becomes of shadows' copies: counters of their own, and a line for what differs."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from ray.serve import metrics

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
        self._compared = metrics.Counter(
            "shadow_compared",
            description="Copies of requests whose answers were compared.",
            tag_keys=_OF,
        )
        self._differed = metrics.Counter(
            "shadow_differed", description="Those of them that differ.", tag_keys=_OF
        )
        self._kinds = metrics.Counter(
            "shadow_differences",
            description="By kind of difference: value, text, shape, datatype, output, error. An answer "
            "may differ in several.",
            tag_keys=(*_OF, "kind"),
        )
        self._dropped = metrics.Counter(
            "shadow_dropped",
            description="Requests of which no copy was compared, by reason: queue, bytes, busy, "
            "unavailable, replaced, broken.",
            tag_keys=("model_name", "shadow_version", "reason"),
        )
        self._waiting = Gauge("shadow_queued", "Copies that wait.", ("model_name",))
        self._bytes = Gauge("shadow_bytes", "Memory of requests that are copied.", ("model_name",))
        self.copies: Mapping[str, Copies] = {}
        self._pairs: Counter[tuple[tuple[str, str, str], str]] = Counter()
        self._drops: Counter[tuple[str, str, str]] = Counter()
        self._said, self._unsaid = 0.0, 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(_FLUSH_S, self._flush)

    def compared(self, pair: Pair, job: Job, found: Compared) -> None:
        """Counted now, handed on later; a difference is written down, one of those of a second."""
        of = job.request.model, pair.primary, pair.shadow
        self._pairs[of, "compared"] += 1
        if found.same:
            return
        self._pairs[of, "differed"] += 1
        for kind in {one.kind for one in found.differences}:
            self._pairs[of, f"kind {kind}"] += 1
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
        pairs, self._pairs = self._pairs, Counter()
        for (of, what), count in pairs.items():
            tags = dict(zip(_OF, of, strict=True))
            if what == "compared":
                self._compared.inc(count, tags)
            elif what == "differed":
                self._differed.inc(count, tags)
            else:
                self._kinds.inc(count, {**tags, "kind": what.removeprefix("kind ")})
        drops, self._drops = self._drops, Counter()
        for (model, version, reason), count in drops.items():
            tags = {"model_name": model, "shadow_version": version, "reason": reason}
            self._dropped.inc(count, tags)
        for name, copies in self.copies.items():
            self._waiting.set(copies.waiting, name)
            self._bytes.set(copies.held, name)
