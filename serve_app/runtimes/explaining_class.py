"""A user's own class that explains another model, which it may ask.

It is as any class (serve_app.runtimes.python), with `explain(inputs, parameters)` in the place of
`predict`. Its constructor and `load` may have a parameter `model`: a `ModelAsked`.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from serve_app.config import RemoteModel
from serve_app.errors import DeadlineExceeded
from serve_app.explainers import asking
from serve_app.protocol.explanations import METHOD, SECONDS, VERSION
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.explaining_kserve import KServeExplainer, of_kserve
from serve_app.runtimes.kserve_api.stand_in import stand_in
from serve_app.runtimes.python import PythonRuntime
from serve_app.runtimes.threads import nobody_waits

_SECONDS = 60.0  # where nobody says how long an explanation may take
# Of the request that is explained: which version, until when.
_ABOUT: ContextVar[tuple[str, float]] = ContextVar("explained")


class ModelAsked:
    """The model that is explained, in the version that the request is for."""

    def predict(self, inputs: Arrays, output: str = "") -> Arrays:
        """What it answers, all of it or one `output`. It blocks: for a plain `explain`."""
        version, until = _about()
        if nobody_waits():
            raise DeadlineExceeded("nobody waits for the explanation any more")
        left = max(until - time.monotonic(), 1e-3)
        return asking.reached().predict(version, inputs, output, left)

    async def predict_async(self, inputs: Arrays, output: str = "") -> Arrays:
        """The same for an `async` one."""
        return await asyncio.to_thread(self.predict, inputs, output)

    def describe(self) -> VersionDescription:
        """Its inputs and outputs. It blocks."""
        version, until = _about()
        return asking.reached().describe(version, max(until - time.monotonic(), 1e-3))


def _about() -> tuple[str, float]:
    return _ABOUT.get(("", time.monotonic() + _SECONDS))


class ExplainerClassRuntime(PythonRuntime):
    """Hands `explain` on."""

    verb = "explain"

    def __init__(self, config: RemoteModel, folder: Path | None, version: str = "1") -> None:
        super().__init__(config, folder, version)
        explains = self._explains = config.explains or ""
        self._about["model"] = self._asked = ModelAsked()
        # What KServe's server tells one.
        self._about |= {"model_name": explains, "predictor_host": explains}
        self._about |= {"protocol": "v1", "predictor_protocol": "v1", "predictor_use_ssl": False}

    def load(self) -> None:
        """Import, construct and load the user's class, which may be written for KServe."""
        stand_in()
        super().load()
        if of_kserve(type(self._model)):
            self._model = KServeExplainer(self._model, self._asked, self._explains)

    @property
    def predict(self) -> Callable[[Arrays, Parameters], Any]:
        """The user's own, told what it is about."""
        explain: Callable[[Arrays, Parameters], Any] = self._model.explain
        if inspect.iscoroutinefunction(explain):

            async def awaited(inputs: Arrays, parameters: Parameters) -> Any:
                return await explain(inputs, _told(parameters))

            return awaited
        return lambda inputs, parameters: explain(inputs, _told(parameters))

    def metadata(self) -> VersionDescription:
        """The class's own, and whose explainer it is."""
        properties = {"explains": self._explains, METHOD: "class"}
        return replace(super().metadata(), properties=properties)


def _told(parameters: Parameters) -> Parameters:
    seconds = parameters.get(SECONDS, _SECONDS)
    until = time.monotonic() + (seconds if isinstance(seconds, int | float) else _SECONDS)
    _ABOUT.set((str(parameters.get(VERSION, "")), until))
    return {name: value for name, value in parameters.items() if name not in (SECONDS, VERSION)}
