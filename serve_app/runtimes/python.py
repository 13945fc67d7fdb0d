"""A user's own class as a model, named by import path.

The class has `predict(inputs, parameters)`, plain or `async`: arrays by name in, arrays by name out.
Its constructor takes `options` as keyword arguments. It may have `load` and `close()`, and may declare
`inputs` and `outputs` as lists of TensorSpec. What it is made for, constructor and `load` are told by
parameters of these names: `folder`, of the version (None without a storageUri), `version` and `name`;
a first parameter of `load` with another name is the folder.
"""

import inspect
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.base import declared
from serve_app.runtimes.user_code import import_class

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


class PythonRuntime:
    """Hands the five verbs to the user's object. `verb`: its method that answers."""

    verb = "predict"

    def __init__(self, config: ModelConfig, folder: Path | None, version: str = "1") -> None:
        self._config, self._folder = config, folder
        self._about: dict[str, Any] = {"folder": folder, "version": version, "name": config.name or ""}
        self._model: Any = None

    def load(self) -> None:
        """Import, construct and load the user's class."""
        path, options = self._config.class_path or "", self._config.options
        kind = import_class(path)
        if not callable(kind):
            raise ConfigError(f"{path} is no class, but a {type(kind).__name__}")
        told = {name: self._about[name] for name in _named(kind, self._about) if name not in options}
        _fits(kind, f"options don't fit {path}", **options, **told)
        self._model = kind(**options, **told)
        takes_folder = "folder" in told
        if load := getattr(self._model, "load", None):
            takes_folder |= self._call(load)
        if self._folder is not None and not takes_folder and "folder" not in options:
            raise ConfigError(
                f"storageUri is given, but {path} takes no folder: "
                "its __init__ or its load needs a parameter `folder`"
            )
        # A user's dictConfig turns off every logger that is there already, unless it is told not to.
        logging.getLogger("tandem").disabled = False
        if not callable(getattr(self._model, verb := self.verb, None)):
            raise ConfigError(f"{path} has no {verb}(inputs, parameters)")
        what = f"{path}: {verb} is called with (inputs, parameters)"
        _fits(getattr(self._model, verb), what, {}, {})

    def _call(self, load: Callable[..., Any]) -> bool:
        """Call the object's `load` with what it asks for; whether that was the folder, too."""
        told = {name: self._about[name] for name in _named(load, self._about)}
        first = next(iter(_parameters(load).values()), None)
        if first is None or first.name in told or first.kind not in _POSITIONAL:
            load(**told)
            return "folder" in told
        load(told.pop("folder", self._folder), **told)
        return True

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


def _fits(function: Callable[..., Any], what: str, /, *arguments: Any, **options: Any) -> None:
    """ConfigError where it can't be called so; a TypeError of its own code says something else."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a class written in C
        return
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        raise ConfigError(f"{what}: {error}") from error


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a class written in C
        return {}


def _named(function: Callable[..., Any], names: Mapping[str, Any]) -> list[str]:
    found = _parameters(function)
    return [name for name in names if name in found and found[name].kind in _NAMED]
