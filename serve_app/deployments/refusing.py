"""What a Router was to serve and doesn't, noted at its models, where everybody looks for it."""

from collections.abc import Container, Mapping

from serve_app.core.directory import INLINE, Directory
from serve_app.redact import redacted
from serve_app.releases.applications import RemoteApp


class Refusing:
    """Of the models in `directory`. `told`: what applications say themselves that they refuse;
    `lacking`: those of their versions that can't be loaded.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.told: dict[str, str] = {}
        self.lacking: dict[str, Mapping[str, str]] = {}

    def whole(self, reason: str) -> None:
        """A configuration can't be had at all: what there was goes on, and says why."""
        self._directory.refused = redacted(reason)
        for model in self._directory.models.values():
            if INLINE in model.sources:
                model.refused.refuse(INLINE, reason)

    def adopted(self, failed: Container[str], lacking: Mapping[str, Mapping[str, str]]) -> None:
        """A configuration is served, but for the inline models that failed, and versions of others."""
        for model in self._directory.models.values():
            if model.name not in failed:
                model.refused.accept(INLINE, lacking.get(model.name))
        if self._directory.refused:  # another one, that came meanwhile
            self.whole(self._directory.refused)

    def forget(self, application: str) -> None:
        """It is gone."""
        self.told.pop(application, None)
        self.lacking.pop(application, None)

    def note(self, applications: Mapping[str, RemoteApp], refused: Mapping[str, str]) -> None:
        """How applications are; `refused` by Serve's word, as `releases.reconcile` reads it."""
        for app in applications.values():
            model = self._directory.models.get(app.model)
            if model is None or app.name not in model.sources:
                continue
            if reason := refused.get(app.name) or self.told.get(app.name):
                lacking = self.lacking.get(app.name, {})
                model.refused.refuse(app.name, reason, dict.fromkeys((*app.versions, *lacking)))
            else:
                model.refused.accept(app.name, self.lacking.get(app.name))
