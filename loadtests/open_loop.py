"""Locust in an open loop: requests leave when they are due, not when the last one was answered.

A user is a connection: it takes the next arrival that is due, and the latency counts from when that
was due. Every process has each nth arrival of one schedule. How late the arrivals came to the users
is counted apart: that is this program's own slowness, not the server's.
"""

import time
from collections import Counter
from typing import Any

import gevent
import numpy as np
from gevent.queue import Queue
from locust.runners import MasterRunner, WorkerRunner

_LATE_MS = 10.0  # at the 99th percentile: more, and the client is what was measured
_SHARE = "share of arrivals"


class Arrivals:
    """One process's share of a schedule, handed to its users as it comes due."""

    def __init__(self, times: np.ndarray) -> None:
        self.count = self.left = len(times)
        self.late: Counter[float] = Counter()  # ms, by how many arrivals
        self._times = times
        self._due: Queue[float] = Queue()

    def run(self) -> None:
        """Until all are due."""
        began = time.perf_counter()
        for at in self._times.tolist():
            if (pause := began + at - time.perf_counter()) > 0:
                gevent.sleep(pause)
            late = max(0.0, time.perf_counter() - began - at) * 1000
            self.late[float(f"{late:.2g}")] += 1
            self._due.put(began + at)

    def take(self) -> float:
        """The next one's due time by `perf_counter`; waits for it."""
        due: float = self._due.get()
        return due

    def done(self) -> None:
        self.left -= 1


class OpenLoop:
    """The schedule of a test, and what all processes say of it."""

    def __init__(self, environment: Any, times: np.ndarray) -> None:
        self._environment, self._times = environment, times
        self._own: Arrivals | None = None
        self._running: Any = None
        self._reports: dict[str, dict[str, Any]] = {}
        runner, events = environment.runner, environment.events
        events.test_start.add_listener(self._start)
        events.test_stop.add_listener(self._stop)
        if isinstance(runner, WorkerRunner):
            runner.register_message(_SHARE, self._take_share)
            events.report_to_master.add_listener(self._report)
        elif isinstance(runner, MasterRunner):
            events.worker_report.add_listener(self._hear)

    @property
    def left(self) -> int:
        """Arrivals without an answer, those to come included."""
        return sum(report["left"] for report in self._all())

    def summary(self) -> list[str]:
        """What a reader must know of this run; empty before one."""
        reports = self._all()
        late = sorted(Counter[float](sum((Counter(r["late"]) for r in reports), Counter())).elements())
        if not late:
            return []
        p50, p99 = (late[int(len(late) * share)] for share in (0.5, 0.99))
        lines = [
            f"open loop: {len(late)} of {sum(r['count'] for r in reports)} arrivals came due, "
            f"{self.left} have no answer; sent late by {p50:g} ms (median), {p99:g} ms (p99)"
        ]
        if p99 > _LATE_MS:
            lines.append("the client is saturated, its lateness is in the latencies: add --processes")
        return lines

    def _all(self) -> list[dict[str, Any]]:
        own = [_report_of(self._own)] if self._own else []
        return [*own, *self._reports.values()]

    def _start(self, **_: Any) -> None:
        runner = self._environment.runner
        self._reports.clear()
        if isinstance(runner, MasterRunner):
            clients = [client.id for client in runner.clients.ready]
            for index, client in enumerate(clients):
                share = {"index": index, "of": len(clients)}
                self._reports[client] = {"left": 1, "count": 0, "late": {}}  # until it tells
                runner.send_message(_SHARE, share, client)
        elif not isinstance(runner, WorkerRunner):
            self._begin(self._times)

    def _take_share(self, msg: Any, **_: Any) -> None:
        self._begin(self._times[msg.data["index"] :: msg.data["of"]])

    def _begin(self, times: np.ndarray) -> None:
        self._stop()
        self._own = self._environment.arrivals = Arrivals(times)
        self._running = gevent.spawn(self._own.run)

    def _stop(self, **_: Any) -> None:
        if self._running is not None:
            self._running.kill()
            self._running = None

    def _report(self, data: dict[str, Any], **_: Any) -> None:
        if self._own:
            data["arrivals"] = _report_of(self._own)

    def _hear(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if report := data.get("arrivals"):
            self._reports[client_id] = report


def _report_of(arrivals: Arrivals) -> dict[str, Any]:
    return {"left": arrivals.left, "count": arrivals.count, "late": dict(arrivals.late)}
