"""A Router's shadows: made when the first is configured, and out of the way while there are none."""

from typing import Any

from serve_app.config import RouterUserConfig
from serve_app.core.dataplane import DataPlane
from serve_app.core.observer import Observer
from serve_app.core.shadow.choosing import Shadows
from serve_app.observability.shadows import ShadowMetrics


class Shadowing:
    """Of one data plane."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._shadows: Shadows | None = None

    def configure(self, config: RouterUserConfig) -> tuple[Observer, ...]:
        """Copy as it says from now on; who has to hear of requests for that."""
        wanted = {name: one.shadow for name, one in config.routing.items() if one.shadow is not None}
        if self._shadows is None:
            if not wanted:
                return ()
            metrics = ShadowMetrics()
            self._shadows = Shadows(self._plane.directory, metrics)
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
