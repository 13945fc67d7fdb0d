"""A user's own class as a model, named by import path.

The class takes `options` as keyword arguments and has `predict(inputs, parameters)`, plain or
`async`: arrays by name in, arrays by name out. It may have `load(folder)` (None without a
storageUri) and `close()`, and may declare `inputs` and `outputs` as lists of TensorSpec.
"""

import importlib
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.base import declared


class PythonRuntime:
    """Hands the five verbs to the user's object."""

    def __init__(self, config: ModelConfig, folder: Path | None) -> None:
        self._config = config
        self._folder = folder
        self._model: Any = None

    def load(self) -> None:
        """Import, construct and load the user's class."""
        kind = _import(self._config.class_path or "")
        try:
            self._model = kind(**self._config.options)
        except TypeError as error:
            raise ConfigError(f"options don't fit {self._config.class_path}: {error}") from error
        if hasattr(self._model, "load"):
            self._model.load(self._folder)
        # A user's dictConfig turns off every logger that is there already, unless it is told not to.
        logging.getLogger("tandem").disabled = False
        if not callable(getattr(self._model, "predict", None)):
            raise ConfigError(f"{self._config.class_path} has no predict(inputs, parameters)")

    @property
    def predict(self) -> Callable[[Arrays, Parameters], Any]:
        """The user's own, so that whether it is async stays visible."""
        return self._model.predict  # type: ignore[no-any-return]

    def warm_up(self, inputs: Arrays) -> None:
        """Only plain predicts are warmed: an async one belongs to the serving event loop."""
        if not inspect.iscoroutinefunction(self.predict):
            self.predict(inputs, {})

    def metadata(self) -> VersionDescription:
        """The configuration's declaration, else the class's own."""
        said = declared(self._config)
        return VersionDescription(
            inputs=said.inputs or list(getattr(self._model, "inputs", [])),
            outputs=said.outputs or list(getattr(self._model, "outputs", [])),
        )

    def close(self) -> None:
        """Close the user's object, if it can be."""
        if hasattr(self._model, "close"):
            self._model.close()
        self._model = None


def _import(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"class '{path}' can't be imported as package.module:ClassName: {error}"
        ) from error
