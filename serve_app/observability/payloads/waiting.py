"""What waits for a sink: bounded by events and bytes, and never in anybody's way."""

import threading
import time
from collections import Counter, deque

from serve_app.config.payloads import Queue
from serve_app.observability.payloads.record import Record

_AS_GOOD_AS = 0.99  # of the bytes that there may be: full


class Waiting:
    """Records from an event loop to threads. What is taken counts until it is `done`.

    `sent` and `dropped` (by why) together with what waits are all that were offered. `full`: whether
    there is no room for any worth mentioning, so that what would be offered needn't be made.
    """

    def __init__(self, bounds: Queue) -> None:
        self._bounds = bounds
        self._records = deque[Record]()
        self._events = self._bytes = self._ready = 0  # the last: bytes that nobody has taken yet
        self._enough = 1, 0  # events, bytes: who waits needn't wake for less
        self._lock = threading.RLock()  # taken by itself it costs a third of what the condition does
        self._changed = threading.Condition(self._lock)
        self._ending = threading.Condition(self._lock)  # who pauses hears of nothing else
        self._ends: float | None = None  # no more comes, and until then what is there is sent
        self.sent = self._away = 0
        self.dropped = Counter[str]()
        self._looked()

    def offer(self, record: Record) -> None:
        """Put one in, or count it as dropped. Waits for nothing."""
        with self._changed:
            bounds = self._bounds
            if self._ends is not None:
                self.dropped["stopped"] += 1
            elif self._events >= bounds.max_events or self._bytes + record.held > bounds.max_bytes:
                self.dropped["full"] += 1
            else:
                self._records.append(record)
                self._events += 1
                self._bytes += record.held
                self._ready += record.held
                self._looked()
                if self._is_enough():
                    self._changed.notify()

    def _looked(self) -> None:
        bounds = self._bounds
        self.full = self._events >= bounds.max_events or self._bytes > _AS_GOOD_AS * bounds.max_bytes

    def turn_away(self, records: int) -> None:
        """Count so many that weren't made, as it was full."""
        with self._lock:
            if self._ends is None:
                self._away += records
            else:
                self.dropped["stopped"] += records

    def take(self, events: int = 1, size: int = 0, seconds: float = 0) -> list[Record]:
        """So many, or of so many bytes, or what there is after so long. Blocks; none at the end."""
        with self._changed:
            while not self._records:
                if self._ends is not None:
                    return []
                self._enough = 1, 0
                self._changed.wait()
            until = time.monotonic() + seconds
            self._enough = events, size
            while not self._is_enough() and self._ends is None:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            if self._ends is not None and time.monotonic() >= self._ends:
                return []
            found: list[Record] = []
            total = 0
            while self._records and len(found) < events and (not found or not size or total < size):
                found.append(self._records.popleft())
                total += found[-1].held
            self._ready -= total
            return found

    def _is_enough(self) -> bool:
        events, size = self._enough
        return len(self._records) >= events or bool(size and self._ready >= size)

    def done(self, records: list[Record], dropped: str = "") -> None:
        """They were sent, or dropped for this reason."""
        with self._changed:
            self._events -= len(records)
            self._bytes -= sum(one.held for one in records)
            self._looked()
            if dropped:
                self.dropped[dropped] += len(records)
            else:
                self.sent += len(records)

    def put_back(self, records: list[Record]) -> None:
        """Behind those that wait; they are taken once more."""
        with self._changed:
            self._records += records
            self._ready += sum(one.held for one in records)
            self._changed.notify()

    def pause(self, seconds: float) -> bool:
        """Wait, unless it ends; whether it goes on."""
        with self._ending:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                if self._ends is not None and time.monotonic() >= self._ends:
                    return False
                most = left if self._ends is None else min(left, self._ends - time.monotonic())
                self._ending.wait(max(most, 0.001))
            return self._ends is None or time.monotonic() < self._ends

    def end(self, seconds: float) -> None:
        """Nothing more comes; what is there may be sent for so long."""
        with self._changed:
            self._ends = time.monotonic() + seconds
            self._changed.notify_all()
            self._ending.notify_all()

    def give_up(self) -> None:
        """What is there still is dropped."""
        with self._changed:
            records = list(self._records)
            self._records.clear()
            self._ready = 0
        if records:
            self.done(records, "stopped")

    @property
    def events(self) -> int:
        """How many wait, or are on their way."""
        return self._events

    def counts(self) -> Counter[str]:
        """What became of those that were offered: `sent`, or why they were dropped."""
        with self._changed:
            return self.dropped + Counter(sent=self.sent, full=self._away)
