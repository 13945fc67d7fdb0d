"""Counters and histograms per model and version, exported by Ray with the prefix `ray_`.

Names follow KServe's model server where it has one (`request_predict_seconds`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice

from ray.serve import metrics

from serve_app.core.call import Call
from serve_app.core.cold import Coldness
from serve_app.core.directory import Directory
from serve_app.core.paths import Paths
from serve_app.core.pipeline import status_of
from serve_app.core.places import WHY
from serve_app.core.version import Version
from serve_app.internals.serve_gauge import MOST, Gauge, report_s, shown_for
from serve_app.observability.histogram import TAGS, Histogram
from serve_app.observability.logs import LINES
from serve_app.observability.shown import Shown
from serve_app.runtimes.threads import ABANDONED

_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
_ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
_FLUSH_S = 1.0
# Of a thousand models the values take a tenth of a second: so long at a time, with a pause between.
_SLICE_S, _BREATH_S = 0.0005, 0.004


class RayMetrics:
    """Implements `serve_app.core.observer.Observer`; to be made inside a Serve replica.

    `paths` are counted elsewhere, and exported here; so is what a directory knows, once it is watched.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = PathMetrics(paths)
        self._generation = metrics.Gauge(
            "router_generation", description="The configuration that this Router serves."
        )
        self._serves = 0
        self._refusals, self._queues, self._cold = _Refusals(), _Queues(), _Cold()
        self._abandoned = metrics.Gauge(
            "model_abandoned_threads",
            description="Threads of inline models that hung and were left to themselves.",
            tag_keys=("model_name",),
        )
        self._requests = metrics.Counter(
            "request_count", description="Inference requests finished.", tag_keys=TAGS
        )
        self._errors = metrics.Counter(
            "request_errors",
            description="Inference requests that failed, by kind of error.",
            tag_keys=(*TAGS, "kind"),
        )
        self._dropped = metrics.Counter(
            "log_lines_dropped", description="Lines that couldn't be written to standard output."
        )
        self._predict = Histogram(
            "request_predict_seconds",
            "A request in the data plane: validation, queue and model.",
            _SECONDS,
        )
        self._queue = Histogram(
            "request_queue_seconds",
            "Mean time in the queue of the requests of one batch.",
            _SECONDS,
        )
        self._inference = Histogram(
            "model_inference_seconds",
            "One execution of the model, hop included when remote.",
            _SECONDS,
        )
        self._rows = Histogram("model_batch_size", "Rows in one execution of the model.", _ROWS)
        self._nodes = Histogram(
            "graph_node_seconds",
            "A request in a node of a graph, with all that is below it.",
            _SECONDS,
            ("model_name", "node"),
        )
        self._node_errors = metrics.Counter(
            "graph_node_errors",
            description="Requests that failed in a node of a graph, by kind of error.",
            tag_keys=("model_name", "node", "kind"),
        )
        # One at a time: with a hundred models all at once would hold up requests.
        gauges = (
            self._predict, self._queue, self._inference, self._rows, self._nodes, self._refusals,
            self._queues,
        )  # fmt: skip
        self._next: cycle[Histogram | _Refusals | _Queues] = cycle(gauges)
        self._pause_s = min(_FLUSH_S, shown_for() / 2 / len(gauges))
        self._steps: Iterator[None] | None = None  # of the one that is being handed on
        # Counted here and handed on now and then: counters add up, so nothing is lost by waiting.
        self._counted: Counter[tuple[str, str, str]] = Counter()
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(self._pause_s, self._flush)

    def watch(self, directory: Directory) -> None:
        """Export what it knows as well."""
        self._refusals.directory = self._queues.directory = directory
        self._cold.counts = directory.cold

    def serves(self, generation: int) -> None:
        """The configuration that is served from now on."""
        self._serves = generation

    def begun(self, call: Call) -> None: ...

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None:
        """One execution of the model, and of a batched one what it was made of."""
        self._inference.observe(seconds, version.model, version.number)
        if version.waiting is not None:
            self._queue.observe(queued / requests, version.model, version.number)
        if version.batcher is not None:
            self._rows.observe(rows, version.model, version.number)

    def finished(self, call: Call) -> None:
        """One finished request, of a model that there is."""
        if not call.model:
            return
        version = call.version.number if call.version else ""
        self._counted[call.model, version, "" if call.status == "OK" else call.status] += 1
        if call.seconds is not None:
            self._predict.observe(call.seconds, call.model, version)

    def node(
        self, call: Call, graph: str, node: str, seconds: float, error: BaseException | None
    ) -> None:
        """One request in a node of a graph."""
        self._nodes.observe(seconds, graph, node)
        if error is not None:
            self._node_errors.inc(1, {"model_name": graph, "node": node, "kind": status_of(error)})

    def _flush(self) -> None:
        self._loop.call_later(self._pause_s, self._flush)
        counted, self._counted = self._counted, Counter()
        for (model, version, error), count in counted.items():
            tags = {"model_name": model, "model_version": version}
            self._requests.inc(count, tags)
            if error:
                self._errors.inc(count, {**tags, "kind": error})
        self._generation.set(self._serves)
        for model, count in ABANDONED.items():
            self._abandoned.set(count, {"model_name": model})
        if dropped := LINES.take():
            self._dropped.inc(dropped)
        self._cold.flush()
        if self._steps is None:
            self._steps = next(self._next).steps()
            self._hand_on()

    def _hand_on(self) -> None:
        """A slice of it; requests come between two of them."""
        until = time.perf_counter() + _SLICE_S
        for _ in self._steps or ():
            if time.perf_counter() > until:
                self._loop.call_later(_BREATH_S, self._hand_on)
                return
        self._steps = None


class PathMetrics:
    """Which way requests take, exported once a second; to be made inside a Serve replica."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._requests = metrics.Counter(
            "request_path",
            description="Requests by the way they took, the fast path or Serve's, per transport.",
            tag_keys=("transport", "path"),
        )
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(_FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._loop.call_later(_FLUSH_S, self._flush)
        for (transport, path), count in self._paths.take().items():
            self._requests.inc(count, {"transport": transport, "path": path})


class _Refusals:
    """What `directory` knows of changes that were refused."""

    def __init__(self) -> None:
        self.directory: Directory | None = None
        self._config = metrics.Gauge(
            "router_config_refused",
            description="1 while the last user_config is refused and the one before goes on, else 0.",
        )
        self._changes = Gauge(
            "refused_changes", "1 while the last change of a model is refused, else 0.", ("model_name",)
        )
        self._shown = Shown[str](MOST, report_s())

    def steps(self) -> Iterator[None]:
        """Hand on everything, a model at a time."""
        if self.directory is None:
            return
        self._config.set(int(bool(self.directory.refused)))
        refused = dict[str, bool]()
        for name, model in list(self.directory.models.items()):
            refused[name] = bool(model.refusal())
            yield
        for name in _shown(self._shown, refused, filter(refused.get, refused)):
            self._changes.set(int(refused[name]), name)
            yield


class _Queues:
    """How long one more would wait for the models of `directory`, and how many weren't let in."""

    def __init__(self) -> None:
        self.directory: Directory | None = None
        self._refused = Gauge(
            "requests_refused_total",
            "Requests that weren't let in: limit (maxQueuedRequests), time (they would wait for too "
            "long), room (the model has its share of what the Router holds).",
            ("model_name", "reason"),
        )
        self._wait = Gauge(
            "model_expected_wait_seconds", "How long one more request would wait for its turn.", TAGS
        )
        self._counts: dict[str, int] = {}
        self._turning = Shown[str](MOST // len(WHY), report_s())

    def steps(self) -> Iterator[None]:
        """Hand on everything, a model at a time."""
        now = time.monotonic()
        models = dict(self.directory.models) if self.directory else {}
        before = self._counts
        self._counts = {name: model.turned_away.total() for name, model in models.items()}
        more = [name for name, count in self._counts.items() if count > before.get(name, 0)]
        for name in _shown(self._turning, models, more):
            for reason in WHY:  # from 0 on, or the first one is none of a rate's
                self._refused.set(models[name].turned_away[reason], name, reason)
            yield
        versions = (one for model in models.values() for one in model.versions.values())
        for one in islice((one for one in versions if one.waiting), MOST):
            if one.waiting is not None:
                self._wait.set(one.waiting.expected(now), one.model, one.number)
            yield


def _shown(shown: Shown[str], models: Mapping[str, object], first: Iterable[str]) -> list[str]:
    """Of the models that there are, those to be shown: `first` before others."""
    for name in shown.known - models.keys():
        shown.forget(name)
    shown.noted |= dict.fromkeys(name for name in models if name not in shown.known)
    shown.noted |= dict.fromkeys(first)
    return shown.keys(time.monotonic())


class _Cold:
    """What became of models that are loaded when they are asked for (`maxLoadedModels`)."""

    def __init__(self) -> None:
        self.counts: Coldness | None = None
        self._loads = metrics.Counter(
            "model_loads", description="Models that were loaded because they were asked for."
        )
        self._evictions = metrics.Counter(
            "model_evictions", description="Models that were dropped from memory for others."
        )
        self._waits = Histogram(
            "cold_request_wait_seconds",
            "How long requests waited for their model to be loaded, of all models together.",
            _SECONDS,
        )
        self._told = 0, 0

    def flush(self) -> None:
        """Hand on what happened since the last time."""
        if (counts := self.counts) is None:
            return
        loads, evictions = self._told
        if counts.loads > loads:
            self._loads.inc(counts.loads - loads)
        if counts.evictions > evictions:
            self._evictions.inc(counts.evictions - evictions)
        self._told = counts.loads, counts.evictions
        while counts.waits:
            self._waits.observe(counts.waits.popleft(), "", "")
        self._waits.flush()
