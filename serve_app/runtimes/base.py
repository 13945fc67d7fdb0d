"""What every runtime is: five verbs over one version of one model."""

import importlib
import inspect
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec


class Runtime(Protocol):
    """Runs one model version in this process.

    `predict` may be a coroutine function, which is awaited on the event loop; a plain one runs in a
    thread. Arrays may be read-only. Any exception fails the request as the model's fault, except
    `serve_app.errors.InvalidArgument`, which is the caller's.
    """

    def load(self) -> None:
        """Read the model into memory; ConfigError when what lies there can't be served."""

    def warm_up(self, inputs: Arrays) -> None:
        """Run once on example inputs so that the first request meets no cold start."""

    def predict(self, inputs: Arrays, parameters: Parameters) -> Any:
        """Arrays by input name to arrays by output name."""

    def metadata(self) -> VersionDescription:
        """Inputs and outputs, declared or read off the model."""

    def close(self) -> None:
        """Give memory back; no verb follows."""


@runtime_checkable
class Tokenizes(Protocol):
    """One that can say how its texts become tokens (serve_app.runtimes.texts)."""

    def recipe(self) -> bytes:
        """A packed `Recipe`, or nothing."""


@runtime_checkable
class InPieces(Protocol):
    """One whose model may answer a request piece by piece."""

    streams: bool  # whether it does

    def stream(
        self, inputs: Arrays, parameters: Parameters
    ) -> AsyncGenerator[tuple[Arrays, bool], None]:
        """As `serve_app.core.target.Streams`."""


@runtime_checkable
class Watched(Protocol):
    """One that may be in trouble while nobody asks it."""

    trouble: str  # why it refuses predictions; '' while it doesn't

    def watch(self, tell: Callable[[], None]) -> None:
        """Tell, in any thread, when that changes, until it is closed."""


# modelFormat: (module, class). Imported on use, so that no framework is loaded in vain.
RUNTIMES = {
    "python": ("serve_app.runtimes.python", "PythonRuntime"),
    "torch": ("serve_app.runtimes.torch", "TorchRuntime"),
    "onnx": ("serve_app.runtimes.onnx", "OnnxRuntime"),
    "transformers": ("serve_app.runtimes.transformers", "TransformersRuntime"),
    "sklearn": ("serve_app.runtimes.sklearn", "SklearnRuntime"),
    "xgboost": ("serve_app.runtimes.xgboost_booster", "XgboostRuntime"),
    "lightgbm": ("serve_app.runtimes.lightgbm_booster", "LightgbmRuntime"),
    "v2": ("serve_app.runtimes.v2", "V2Runtime"),
    "mlflow": ("serve_app.runtimes.mlflow", "MlflowRuntime"),
    "tensorflow": ("serve_app.runtimes.saved_model", "SavedModelRuntime"),
}


# Of what explains another model: around a runtime of its modelFormat, or a class of the user's own.
_EXPLAINERS = (
    ("serve_app.runtimes.explaining", "ExplainerRuntime"),
    ("serve_app.runtimes.explaining_class", "ExplainerClassRuntime"),
)

# modelFormat: what lies in a version's folder, one of these. A transformers' is more than one file.
FILES = {
    "torch": ("model.pt2", "model.pt"),
    "onnx": ("model.onnx",),
    "transformers": ("config.json",),
    "sklearn": ("model.skops", "model.joblib", "model.pkl", "model.pickle"),
    "xgboost": ("model.ubj", "model.json", "model.bst"),
    "lightgbm": ("model.txt", "model.bst"),
    "mlflow": ("MLmodel",),
    "tensorflow": ("saved_model.pb",),
}


def create(config: ModelConfig, folder: Path | None, **extra: Any) -> Runtime:
    """The runtime for a model version that lies in `folder`."""
    module, name = RUNTIMES[config.model_format]
    if getattr(config, "explains", None) is not None:
        module, name = _EXPLAINERS[getattr(config, "explainer", None) is None]
    runtime: Runtime = getattr(importlib.import_module(module), name)(config, folder, **extra)
    return runtime


def need(module: str, extra: str) -> Any:
    """Import a framework; ConfigError names the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{module} can't be imported ({error}); install it with: pip install 'tandem-serve[{extra}]'"
        ) from error


def declared(config: ModelConfig) -> VersionDescription:
    """The inputs and outputs that the configuration declares."""
    return VersionDescription(
        inputs=[TensorSpec(t.name, t.datatype, t.shape, t.optional, t.example) for t in config.inputs],
        outputs=[TensorSpec(t.name, t.datatype, t.shape, t.optional) for t in config.outputs],
    )


def is_async(runtime: Runtime) -> bool:
    """Whether `predict` belongs on the event loop."""
    return inspect.iscoroutinefunction(runtime.predict)
