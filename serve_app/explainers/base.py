"""What every way of explaining has, and how its libraries are had."""

import importlib
import warnings
from typing import Any, Protocol

from serve_app.errors import ConfigError
from serve_app.explainers.asking import Asked
from serve_app.protocol.tensors import Arrays


class Explains(Protocol):
    """Says for each row how much its parts count for what the model answers."""

    def explain(self, inputs: Arrays, asked: Asked, options: "Options") -> Arrays:
        """The tensors of `serve_app.explainers.answers`. Raises TandemError for what is the caller's."""
        ...


class Options:
    """What a request says, over what the configuration says: `wanted` is a class."""

    def __init__(self, seed: int, samples: int, features: int | None, wanted: object = None) -> None:
        self.seed, self.samples, self.features, self.wanted = seed, samples, features, wanted


def library(module: str) -> Any:
    """Import one; ConfigError names the extra that installs it. What it warns of is its own affair."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{module} can't be imported ({error}); install it with: pip install 'tandem-serve[explain]'"
        ) from error
