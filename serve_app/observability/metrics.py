"""Counters and histograms per model and version, exported by Ray with the prefix `ray_`.

Names follow KServe's model server where it has one (`request_predict_seconds`).
"""

from ray.serve import metrics

_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
_ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
_TAGS = ("model_name", "model_version")


class RayMetrics:
    """Implements `serve_app.model.Metrics`; to be made inside a Serve replica."""

    def __init__(self) -> None:
        self._requests = metrics.Counter(
            "request_count", description="Inference requests finished.", tag_keys=_TAGS
        )
        self._errors = metrics.Counter(
            "request_errors",
            description="Inference requests that failed, by kind of error.",
            tag_keys=(*_TAGS, "kind"),
        )
        self._predict = metrics.Histogram(
            "request_predict_seconds",
            description="A request in the data plane: validation, queue and model.",
            boundaries=_SECONDS,
            tag_keys=_TAGS,
        )
        self._queue = metrics.Histogram(
            "request_queue_seconds",
            description="Mean time in the queue of the requests of one batch.",
            boundaries=_SECONDS,
            tag_keys=_TAGS,
        )
        self._inference = metrics.Histogram(
            "model_inference_seconds",
            description="One execution of the model, hop included when remote.",
            boundaries=_SECONDS,
            tag_keys=_TAGS,
        )
        self._rows = metrics.Histogram(
            "model_batch_size",
            description="Rows in one execution of the model.",
            boundaries=_ROWS,
            tag_keys=_TAGS,
        )
        self._tags: dict[tuple[str, str], dict[str, str]] = {}

    def batch(self, model: str, version: str, rows: int, queued: float, spent: float) -> None:
        """One executed batch."""
        tags = self._of(model, version)
        self._queue.observe(queued, tags)
        self._inference.observe(spent, tags)
        self._rows.observe(rows, tags)

    def request(self, model: str, version: str, error: str, seconds: float) -> None:
        """One finished request."""
        tags = self._of(model, version)
        self._requests.inc(1, tags)
        self._predict.observe(seconds, tags)
        if error:
            self._errors.inc(1, {**tags, "kind": error})

    def _of(self, model: str, version: str) -> dict[str, str]:
        key = (model, version)
        tags = self._tags.get(key)
        if tags is None:
            tags = self._tags[key] = {"model_name": model, "model_version": version}
        return tags
