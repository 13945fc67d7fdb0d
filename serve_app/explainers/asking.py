"""How an explainer asks the model that it explains: in small batches, one at a time, and not for ever.

So a prediction waits behind one such batch at most. Where the model has no room, an explanation waits
for it, as long as its own time lasts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from serve_app.config import did_you_mean
from serve_app.errors import ConfigError, DeadlineExceeded, InvalidArgument, Overloaded
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays

_FIRST_S, _LONGEST_S = 0.05, 1.0  # between two tries where there is no room


class Models(Protocol):
    """The way to the model that is explained, for threads: these block."""

    def describe(self, version: str, seconds: float) -> VersionDescription:
        """What it takes and answers; '' is the version that would answer."""
        ...

    def predict(self, version: str, inputs: Arrays, output: str, seconds: float) -> Arrays:
        """What it answers. Raises TandemError only."""
        ...


# Of this process, which has one application: an explainer's, once it has begun.
_here: list[Models] = []


def reach(models: Models) -> None:
    """From now on explainers of this process ask so."""
    _here[:] = [models]


def reached() -> Models:
    """How they ask; ConfigError where nothing has been said."""
    if not _here:
        raise ConfigError("an explainer needs an application of its own, which asks the model")
    return _here[0]


@dataclass
class Asked:
    """One request for an explanation: which version, which output, in batches of which size, until when.

    `models` are None where the model is in this process, and nobody is asked. `gone` says whether
    nobody waits for it any more; `sleep` and `clock` are time's.
    """

    models: Models | None
    version: str
    batch: int
    until: float
    wanted: str = ""
    gone: Callable[[], bool] = lambda: False
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    output: str = field(default="", init=False)  # what is explained, once that is known

    def left(self) -> float:
        """Seconds; DeadlineExceeded when there are none."""
        if self.gone():
            raise DeadlineExceeded("nobody waits for the explanation any more")
        left = self.until - self.clock()
        if left <= 0:
            raise DeadlineExceeded("the explanation took longer than its request may")
        return left

    def describe(self) -> VersionDescription:
        """The version that is explained; its output is chosen by that."""
        assert self.models is not None
        about = self.models.describe(self.version, self.left())
        self.output = output_of(about, self.wanted)
        return about

    def __call__(self, inputs: Arrays) -> np.ndarray:
        """A row of numbers for each row: one for each class, or one in all."""
        rows = len(next(iter(inputs.values())))
        parts = [
            self._batch({name: array[at : at + self.batch] for name, array in inputs.items()})
            for at in range(0, rows, self.batch)
        ]
        return np.concatenate(parts)

    def _batch(self, inputs: Arrays) -> np.ndarray:
        assert self.models is not None
        pause = _FIRST_S
        while True:
            try:
                answer = self.models.predict(self.version, inputs, self.output, self.left())
                break
            except Overloaded:
                self.sleep(min(pause, self.left()))
                pause = min(2 * pause, _LONGEST_S)
        name = self.output or next(iter(answer))
        if name not in answer:
            hint = did_you_mean(name, answer)
            raise InvalidArgument(f"output '{name}' isn't answered by the model{hint}")
        return scores(name, answer[name], len(next(iter(inputs.values()))))


def output_of(about: VersionDescription, wanted: str) -> str:
    """The output that is explained; '' where the model declares none, and it is the first then."""
    names = [spec.name for spec in about.outputs]
    if wanted:
        if names and wanted not in names:
            hint = did_you_mean(wanted, names)
            raise InvalidArgument(f"parameters.output: no output '{wanted}'{hint}")
        return wanted
    if "predict_proba" in names:
        return "predict_proba"
    numbers = [spec.name for spec in about.outputs if spec.datatype.startswith(("FP", "BF"))]
    return next(iter([*numbers, *names]), "")


def scores(name: str, array: np.ndarray, rows: int) -> np.ndarray:
    """As numbers with a column for each class; InvalidArgument where it is nothing of the kind."""
    if array.dtype == object or array.ndim not in (1, 2) or len(array) != rows:
        what = "BYTES" if array.dtype == object else f"of shape {list(array.shape)}"
        raise InvalidArgument(
            f"output '{name}' is {what} for {rows} rows: what is explained is a number for each row, or "
            "one for each class; parameters.output names another one"
        )
    return array.astype(np.float64).reshape(rows, -1)
