"""A Router's shadows: made when the first is configured, and out of the way while there are none."""

from collections.abc import Callable
from typing import Any

from serve_app.config import RouterUserConfig
from serve_app.core.dataplane import DataPlane
from serve_app.core.observer import Observer
from serve_app.core.shadow.choosing import Shadows
from serve_app.core.shadow.copies import Hears
from serve_app.core.shadow.jobs import Job
from serve_app.observability.shadows import ShadowMetrics
from serve_app.routing.comparing import Compared
from serve_app.routing.tally import Pair

Tells = Callable[[str, Pair, bool], None]  # of a model's two versions, and whether they differed


class Heard:
    """What becomes of copies, for the metrics and for the rollouts."""

    def __init__(self, metrics: Hears, tell: Tells) -> None:
        self._metrics, self._tell = metrics, tell

    def compared(self, pair: Pair, job: Job, found: Compared) -> None:
        """One was."""
        self._metrics.compared(pair, job, found)
        self._tell(job.request.model, pair, not found.same)

    def dropped(self, model: str, version: str, reason: str) -> None:
        """One came to nothing."""
        self._metrics.dropped(model, version, reason)


class Shadowing:
    """Of one data plane; `tell` hears of each comparison."""

    def __init__(self, plane: DataPlane, tell: Tells) -> None:
        self._plane, self._tell = plane, tell
        self._shadows: Shadows | None = None

    def configure(self, config: RouterUserConfig) -> tuple[Observer, ...]:
        """Copy as it says from now on; who has to hear of requests for that."""
        wanted = {name: one.shadow for name, one in config.routing.items() if one.shadow is not None}
        if self._shadows is None:
            if not wanted:
                return ()
            metrics = ShadowMetrics()
            self._shadows = Shadows(self._plane.directory, Heard(metrics, self._tell))
            metrics.copies = self._shadows.models
        listens = self._shadows.configure(wanted)
        self._plane.tap = self._shadows if listens else None
        return (self._shadows,) if listens else ()

    @property
    def plain(self) -> dict[str, Any]:
        """What came of the copies so far, by model; with what was configured."""
        models = self._shadows.models if self._shadows is not None else {}
        return {
            name: {"config": copies.config.model_dump(mode="json", by_alias=True), **copies.plain}
            for name, copies in models.items()
        }
