"""A model that explains another one: the runtime around serve_app.explainers.

What LIME explains is asked; SHAP and integrated gradients read the model's own files, with the model's
own runtime.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from serve_app.config import Explainer, RemoteModel, did_you_mean
from serve_app.errors import InvalidArgument, shown
from serve_app.explainers import asking
from serve_app.explainers.answers import OUTPUTS
from serve_app.explainers.base import Explains, Options
from serve_app.protocol.explanations import METHOD, SECONDS, VERSION
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.base import Runtime, create
from serve_app.runtimes.labels import put_labels
from serve_app.runtimes.threads import nobody_waits

_SECONDS = 60.0  # where nobody says how long an explanation may take
_MOST = 100_000  # samples
# Of what explainers answer, what one never does.
_LACKS = {
    "lime": {"delta"},
    "shap": {"conditions", "fidelity", "delta"},
    "integratedGradients": {"features", "conditions", "fidelity"},
}
_PARAMETERS = {"class", "features", "output", "samples", "seed"}


class ExplainerRuntime:
    """`predict` explains."""

    def __init__(self, config: RemoteModel, folder: Path | None, **extra: Any) -> None:
        assert config.explainer is not None
        self._config, self._folder, self._how = config, folder, config.explainer
        self._inner: Runtime | None = None
        if not config.loads_nothing:
            plain = config.model_copy(update={"explainer": None, "explains": None})
            self._inner = create(plain, folder, **extra)
        self._explains: Explains | None = None

    def load(self) -> None:
        """Import the library, and read the model where it is needed."""
        if self._inner is not None:
            self._inner.load()
            put_labels(self._config, self._inner.metadata(), self._folder)
        self._explains = _made(self._how, self._inner, self._folder)

    def warm_up(self, inputs: Arrays) -> None:
        self.predict(inputs, {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """The explanation of every row."""
        assert self._explains is not None
        if not inputs:
            raise InvalidArgument("inputs: rows to explain, but there are none")
        for name, array in inputs.items():
            if array.ndim == 0 or len(array) == 0:
                raise InvalidArgument(f"tensor '{name}': rows to explain, got shape {list(array.shape)}")
        options = _options(self._how, parameters)
        seconds = parameters.get(SECONDS, _SECONDS)
        asked = asking.Asked(
            asking.reached() if self._inner is None else None,
            str(parameters.get(VERSION, "")),
            self._how.batch_size,
            time.monotonic() + (float(seconds) if isinstance(seconds, int | float) else _SECONDS),
            _text(parameters, "output") or self._how.output,
            nobody_waits,
        )
        return self._explains.explain(inputs, asked, options)

    def metadata(self) -> VersionDescription:
        """What the model takes, where that is known here, and what is answered."""
        about = self._inner.metadata() if self._inner is not None else VersionDescription([], [])
        lacks = _LACKS[self._how.method]
        outputs = [replace(one) for one in OUTPUTS if one.name not in lacks]
        if len(about.inputs) > 1 and self._how.method == "integratedGradients":
            names = [f"attributions.{one.name}" for one in about.inputs]
            outputs[:1] = [replace(OUTPUTS[0], name=name) for name in names]
        properties = {"explains": self._config.explains or "", METHOD: self._how.method}
        return VersionDescription(about.inputs, outputs, properties, about.table)

    def close(self) -> None:
        self._explains = None
        if self._inner is not None:
            self._inner.close()


def _made(how: Explainer, inner: Any, folder: Path | None) -> Explains:
    if how.method == "lime":
        if how.kind == "text":
            from serve_app.explainers.lime_texts import LimeTexts

            return LimeTexts()
        if how.kind == "image":
            from serve_app.explainers.lime_images import LimeImages

            return LimeImages(how.batch_size, how.regions, how.hide_color)
        from serve_app.explainers.lime_tables import LimeTables

        assert folder is not None  # the configuration requires storageUri
        return LimeTables(folder, how.discretize)
    if how.method == "shap":
        from serve_app.explainers.trees import ShapTrees

        return ShapTrees(*inner.trees())
    from serve_app.explainers.gradients import Gradients

    about = inner.metadata()
    return Gradients(
        inner.module,
        inner.tensor,
        [one.name for one in about.inputs],
        [one.name for one in about.outputs],
        {one.name: one.labels for one in about.outputs},
        how.steps,
        how.baseline,
        how.output,
    )


def _options(how: Explainer, parameters: Parameters) -> Options:
    """The configuration's, and over them the request's. InvalidArgument names the parameter."""
    for name in parameters:
        if name not in _PARAMETERS and name not in (VERSION, SECONDS):
            raise InvalidArgument(f"parameters.{name[:80]}: unknown{did_you_mean(name, _PARAMETERS)}")
    lime = how.method == "lime"
    for name in ("samples", "features"):
        if name in parameters and not lime:
            raise InvalidArgument(f"parameters.{name} belongs to method lime, not {how.method}")
    usual = how.features
    return Options(
        _number(parameters, "seed", how.seed, 0, 2**32 - 1),
        _number(parameters, "samples", how.samples, 10, _MOST),
        _number(parameters, "features", usual, 1, _MOST) if "features" in parameters else usual,
        parameters.get("class"),
    )


def _number(parameters: Parameters, name: str, usual: Any, least: int, most: int) -> int:
    found = parameters.get(name, usual)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise InvalidArgument(
            f"parameters.{name}: expected a whole number from {least} to {most}, got {shown(found)}"
        )
    return found


def _text(parameters: Parameters, name: str) -> str:
    found = parameters.get(name, "")
    if not isinstance(found, str):
        raise InvalidArgument(f"parameters.{name}: expected text, got {shown(found)}")
    return found
