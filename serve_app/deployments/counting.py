"""What a Router counts for the rollouts that are under way, and what it tells the Steward of it."""

from collections.abc import Mapping
from typing import Any

from serve_app.core.call import Call
from serve_app.core.directory import Directory
from serve_app.core.version import State, Version
from serve_app.ingress.status import HTTP
from serve_app.releases.rolling import followed
from serve_app.releases.rollout import Evidence, Recorder

# Kinds of errors that are the request's own, or nobody's: they say nothing of a version.
_NOBODY_S = {kind.__name__ for kind, status in HTTP.items() if status < 500 or status == 501}
_NOBODY_S |= {"Cancelled", "GeneratorExit"}


class Counting:
    """An observer, which hears of calls only while a rollout is under way.

    It counts the calls that the shares gave to a version: not those that named one, or matched.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._of: dict[str, tuple[str, dict[str, Recorder]]] = {}
        self._unsent: dict[str, tuple[str, Evidence]] = {}

    @property
    def active(self) -> bool:
        """Whether any rollout is under way."""
        return bool(self._of)

    def follow(self, rollouts: Mapping[str, Mapping[str, Any]]) -> None:
        """Count for these, as the Steward keeps them."""
        wanted = followed(rollouts)
        self._of = {
            model: self._of[model]
            if model in self._of and self._of[model][0] == id
            else (id, {version: Recorder(), baseline: Recorder()})
            for model, (id, version, baseline) in wanted.items()
        }

    def recorder(self, model: str, version: str) -> Recorder | None:
        """Of a version that takes part in a rollout."""
        of = self._of.get(model)
        return of[1].get(version) if of else None

    def begun(self, call: Call) -> None:
        """Nothing is to be counted yet."""

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None:
        """Further measures, by the names of the metrics."""
        if (recorder := self.recorder(version.model, version.number)) is not None:
            recorder.grew("request_queue_seconds_count", requests)
            recorder.grew("request_queue_seconds_sum", queued)
            recorder.grew("model_batch_size_count", 1)
            recorder.grew("model_batch_size_sum", rows)
            recorder.grew("model_inference_seconds_count", 1)
            recorder.grew("model_inference_seconds_sum", seconds)

    def finished(self, call: Call) -> None:
        """A call is over."""
        if (of := self._of.get(call.model)) is None or call.version is None or call.request.version:
            return
        recorder = of[1].get(call.version.number)
        if recorder is None or call.status in _NOBODY_S:
            return
        model = self._directory.models.get(call.model)
        if model is None or model.split is None or model.split.matched(call):
            return
        recorder.finished(call.seconds, call.status != "OK")
        if call.seconds is not None:
            recorder.grew("request_predict_seconds_count", 1)
            recorder.grew("request_predict_seconds_sum", call.seconds)

    def compared(self, model: str, primary: str, shadow: str, differs: bool) -> None:
        """An answer of the new version was compared with the other one's, by a shadow."""
        if (recorder := self.recorder(model, shadow)) is not None and self.recorder(model, primary):
            recorder.compares(differs)

    def said(self) -> dict[str, dict[str, Any]]:
        """What was counted since the last time, and whether both versions are ready here; by model."""
        found = {}
        for model, (id, recorders) in self._of.items():
            canary, baseline = (one.take() for one in recorders.values())
            evidence = Evidence(canary, baseline)
            if model in self._unsent and self._unsent[model][0] == id:
                evidence = self._unsent[model][1] + evidence
            self._unsent[model] = (id, evidence)
            found[model] = {"id": id, "evidence": evidence.plain, "ready": self._ready(model, recorders)}
        self._unsent = {model: one for model, one in self._unsent.items() if model in self._of}
        return found

    def sent(self) -> None:
        """The Steward has it."""
        self._unsent.clear()

    def _ready(self, model: str, versions: Mapping[str, Recorder]) -> bool:
        there = self._directory.models.get(model)
        if there is None:
            return False
        ready = {one.number for one in there.versions.values() if one.state is State.READY}
        return versions.keys() <= ready
