"""What becomes of events, exported once a second; to be made inside a Serve replica."""

import asyncio
from collections import Counter

from ray.serve import metrics

from serve_app.observability.payloads.log import PayloadLog
from serve_app.observability.payloads.sender import Sender

_FLUSH_S = 1.0


class PayloadMetrics:
    """Of the loggers that `log` has, and had."""

    def __init__(self, log: PayloadLog) -> None:
        self._log = log
        self._sent = metrics.Counter(
            "payload_events_sent", description="Payload events that a logger's sink took.",
            tag_keys=("logger",),
        )  # fmt: skip
        self._dropped = metrics.Counter(
            "payload_events_dropped",
            description="Payload events that weren't sent: full (no room to wait), refused "
            "(by the sink), stopped (with their logger), broken.",
            tag_keys=("logger", "reason"),
        )
        self._waiting = metrics.Gauge(
            "payload_events_waiting", description="Payload events on their way.", tag_keys=("logger",)
        )
        self._known: dict[Sender, Counter[str]] = {}
        self._shown = set[str]()  # a logger that is gone is shown once more, with nothing that waits
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(_FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._loop.call_later(_FLUSH_S, self._flush)
        senders = self._log.all()
        ended = [one for one in senders if not one.alive]  # before their last counts are read
        known, self._known = self._known, {}
        waiting = dict.fromkeys(self._shown, 0)
        for sender in senders:
            counts, name = sender.waiting.counts(), sender.name
            new = counts - known.get(sender, Counter())
            self._known[sender] = counts
            if sent := new.pop("sent", 0):
                self._sent.inc(sent, {"logger": name})
            for reason, count in new.items():
                self._dropped.inc(count, {"logger": name, "reason": reason})
            waiting[name] = waiting.get(name, 0) + sender.waiting.events
        for name, events in waiting.items():
            self._waiting.set(events, {"logger": name})
        self._shown = {one.name for one in senders}
        self._log.forget(ended)
