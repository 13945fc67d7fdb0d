"""One logger at work: its queue, and the threads that send what is in it."""

import logging
import random
import threading
import time

from serve_app.config.payloads import STORES, PayloadLogger
from serve_app.observability.payloads.events import Event, event_of
from serve_app.observability.payloads.faults import TRIES, Cut, Later, Partly, Refused, is_broken
from serve_app.observability.payloads.record import Record
from serve_app.observability.payloads.sinks import Sink, sink_for
from serve_app.observability.payloads.waiting import Waiting
from serve_app.redact import redacted

log = logging.getLogger("tandem")

WEB_THREADS = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
SAID_EVERY_S = 60.0
_random = random.Random()  # noqa: S311 - shares, no secrets


class Sender:
    """Runs from its making until `end`. ConfigError where its sink can't be had."""

    def __init__(self, name: str, config: PayloadLogger, own: str) -> None:
        self.name, self.config = name, config
        self.waiting = Waiting(config.queue)
        self._of_all = not config.models and config.sample >= 1
        # Events of a request, and of its answer.
        self.asks, self.answers = int(config.mode != "response"), int(config.mode != "request")
        make = sink_for(config, own)
        self._said = -SAID_EVERY_S
        threads = 1 if config.url.partition("://")[0] in (*STORES, "kafka") else WEB_THREADS
        sinks = [make() for _ in range(threads)]
        self.threads = [
            threading.Thread(target=self._run, args=(sink,), name=f"payloads-{name}", daemon=True)
            for sink in sinks
        ]
        try:
            for thread in self.threads:
                thread.start()
        except RuntimeError:  # no more threads: those that there are end
            self.waiting.end(0)
            raise

    def wants(self, model: str) -> bool:
        """Whether a request of this model, by chance, is one to log."""
        if self._of_all:
            return True
        config = self.config
        return (not config.models or model in config.models) and (
            config.sample >= 1 or _random.random() < config.sample
        )

    @property
    def alive(self) -> bool:
        """Whether it still sends."""
        return any(thread.is_alive() for thread in self.threads)

    def end(self, seconds: float) -> None:
        """Send what is there for so long, and drop the rest. Doesn't wait."""
        self.waiting.end(seconds)

    def _run(self, sink: Sink) -> None:
        batch = self.config.batch
        most = min(sink.most, batch.max_events)
        size, seconds = (batch.max_bytes, batch.max_seconds) if self._stores() else (0, 0.0)
        while records := self.waiting.take(most, size, seconds):
            events, kept = self._events(records)
            if kept:
                self._until_sent(sink, events, kept)
        self.waiting.give_up()
        sink.close()

    def _stores(self) -> bool:
        return self.config.url.partition("://")[0] in STORES

    def _events(self, records: list[Record]) -> tuple[list[Event], list[Record]]:
        events, kept = [], []
        for record in records:
            try:
                events.append(event_of(record, self.config))
                kept.append(record)
            except Exception:
                log.exception("payloads '%s': an event couldn't be made", self.name)
                self.waiting.done([record], "broken")
        return events, kept

    def _until_sent(self, sink: Sink, events: list[Event], records: list[Record]) -> None:
        """Each is counted in the end: what can't be written down or is refused holds up no others."""
        done = self.waiting.done
        pause = min(FIRST_PAUSE_S * 2 ** min(records[0].tries, 30), LONGEST_PAUSE_S)
        while records:
            try:
                sink.send(events)
                return done(records)
            except Refused as error:
                self._say(error)
                return done(records, "refused")
            except Exception as error:
                self._say(error)
                if is_broken(error):
                    return self._apart(sink, events, records)
                if isinstance(error, Later):
                    for one in records:
                        one.tries += 1
                    if (tries := records[0].tries) >= error.tries:
                        return done(records, "refused")
                    if isinstance(error, Cut) and tries % TRIES == 0:  # others come first
                        return self.waiting.put_back(records)
                if isinstance(error, Partly):
                    refused, left = error.refused, error.left
                    done([one for at, one in enumerate(records) if at in refused], "refused")
                    done([one for at, one in enumerate(records) if at not in refused | left])
                    events = [one for at, one in enumerate(events) if at in left]
                    records = [one for at, one in enumerate(records) if at in left]
            # It is away, slow, full: what waits meanwhile is bounded.
            if records and not self.waiting.pause(pause * _random.uniform(0.5, 1)):
                return done(records, "stopped")
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return None

    def _apart(self, sink: Sink, events: list[Event], records: list[Record]) -> None:
        """Halves of what can't be written down together, down to the one whose fault that is."""
        if (half := len(events) // 2) == 0:
            return self.waiting.done(records, "broken")
        self._until_sent(sink, events[:half], records[:half])
        return self._until_sent(sink, events[half:], records[half:])

    def _say(self, error: Exception) -> None:
        """Now and then: a sink that is away is so for every event."""
        now = time.monotonic()
        if now - self._said >= SAID_EVERY_S:
            self._said = now
            text = redacted(f"{type(error).__name__}: {error}")
            log.warning("payloads '%s' can't be sent for now: %s", self.name, text)
