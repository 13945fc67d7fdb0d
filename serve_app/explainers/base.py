"""What every way of explaining has, and how its libraries are had."""

import importlib
import warnings
from typing import Any, Protocol

from serve_app.errors import ConfigError, InvalidArgument
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


_FEW = 100
_MOST = 2**26  # parts of perturbed rows: eight bytes each in memory, several times


def affordable(samples: int, parts: int) -> None:
    """InvalidArgument where so many perturbed rows of so many parts don't fit into memory."""
    if samples * parts > _MOST:
        raise InvalidArgument(
            f"parameters.samples: {samples} perturbed rows of this size ({parts}) are too much; at most "
            f"{_MOST // parts} of such a row"
        )


def selection(parts: int) -> str:
    """How LIME chooses what it names. Of few names it chooses one after the other, which takes a fit for
    each part each time, and looks at no clock: for rows of few parts alone.
    """
    return "auto" if parts <= _FEW else "highest_weights"


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
