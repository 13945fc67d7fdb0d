"""Models whose behaviour a test can watch from outside."""

import asyncio
import logging
import os
import time
from pathlib import Path

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.tensors import TensorSpec


class Pid:
    """Says which process answers."""

    outputs = (TensorSpec("pid", "INT64", (1,)),)

    def predict(self, inputs, parameters):
        return {"pid": np.array([os.getpid()])}


class Reads:
    """Says what stands in its version's folder."""

    outputs = (TensorSpec("text", "BYTES", (1,)),)

    def __init__(self, folder, version) -> None:
        self.text = f"{(folder / 'text').read_text()} {version}"

    def predict(self, inputs, parameters):
        return {"text": np.array([self.text])}


class Slow:
    """Takes a while, counts what it finished in a file, and says in what batch a row was."""

    inputs = (TensorSpec("x", "FP32", (-1, 1)),)

    def __init__(self, seconds: float, log: str = "") -> None:
        self.seconds = seconds
        self.log = Path(log) if log else None

    def predict(self, inputs, parameters):
        rows = len(inputs["x"])
        time.sleep(self.seconds)
        if self.log:
            with self.log.open("a") as file:
                file.write(f"{rows}\n")
        return {"x": inputs["x"], "rows": np.full((rows, 1), rows)}


class Waits:
    """An async model that notes how each prediction ended."""

    inputs = (TensorSpec("x", "FP32", (-1, 1)),)

    def __init__(self, log: str) -> None:
        self.log = Path(log)

    def note(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text + "\n")

    async def predict(self, inputs, parameters):
        self.note("started")
        try:
            await asyncio.sleep(float(inputs["x"][0, 0]))
        except asyncio.CancelledError:
            self.note("cancelled")
            raise
        self.note("finished")
        return {"x": inputs["x"]}


class Fussy:
    """Can't stand a negative number anywhere in its batch."""

    inputs = (TensorSpec("x", "FP32", (-1, 1)),)

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def predict(self, inputs, parameters):
        time.sleep(self.pause)
        if (inputs["x"] < 0).any():
            raise ValueError("a negative number")
        return {"x": inputs["x"]}


class Loud:
    """Says what it was asked to, in every way that there is, and fails."""

    def __init__(self) -> None:
        print("loud is here")

    def predict(self, inputs, parameters):
        word = parameters["word"]
        print(f"printed {word}")
        logging.getLogger(__name__).info("logged %s", word)
        raise ValueError(f"raised {word}")


class BadImage(InvalidArgument):
    """A user's own kind of error, with a constructor that can't be called with its message."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(f"tensor 'x': an image of {width}x{height} is too small")


class Picky:
    """Refuses whatever it gets, by an error of its own."""

    def predict(self, inputs, parameters):
        raise BadImage(1, 2)


class Broken:
    """Never loads."""

    def load(self, folder):
        raise RuntimeError("the weights are gone")

    def predict(self, inputs, parameters):
        return inputs


class SlowToLoad:
    """Needs a while before it can answer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def load(self, folder):
        time.sleep(self.seconds)

    def predict(self, inputs, parameters):
        return inputs


class NeverLoads(Slow):
    """Its `load` doesn't return."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def load(self, folder):
        while True:
            time.sleep(1)


class Hangs:
    """For ever, for rows that begin with a negative number."""

    inputs = (TensorSpec("x", "FP32", (-1, 2)),)

    def predict(self, inputs, parameters):
        while (inputs["x"] < 0).any():
            time.sleep(1)
        return {"x": inputs["x"]}


class LoadsSlowly:
    """Says what it was told, after a while."""

    outputs = (TensorSpec("text", "BYTES", (1,)),)

    def __init__(self, text: str, seconds: float = 0) -> None:
        self.text, self.seconds = text, seconds

    def load(self, folder):
        time.sleep(self.seconds)

    def predict(self, inputs, parameters):
        return {"text": np.array([self.text])}


class Planted:
    """Ten times x; version 2 adds one where x is a multiple of seven."""

    inputs = (TensorSpec("x", "FP32", (-1, 1)),)
    outputs = (TensorSpec("y", "FP32", (-1, 1)),)

    def __init__(self, version: str, folder: Path | None = None) -> None:
        self.wrong = version == "2"

    def predict(self, inputs, parameters):
        x = inputs["x"]
        return {"y": x * 10 + (self.wrong & (x % 7 == 0)).astype(np.float32)}


class Decides:
    """Odds that hang on the second of three columns alone; counts the rows of each batch in a file."""

    inputs = (TensorSpec("x", "FP32", (-1, 3)),)
    outputs = (TensorSpec("odds", "FP32", (-1, 2), labels=["no", "yes"]),)

    def __init__(self, log: str, seconds: float = 0.0) -> None:
        self.log, self.seconds = Path(log), seconds

    def predict(self, inputs, parameters):
        with self.log.open("a") as file:
            file.write(f"{len(inputs['x'])}\n")
        time.sleep(self.seconds)
        odds = 1 / (1 + np.exp(-3 * inputs["x"][:, 1]))
        return {"odds": np.stack([1 - odds, odds], axis=1).astype(np.float32)}


class Ablates:
    """Explains another model: by how much its answer falls without each column."""

    def __init__(self, model) -> None:
        self.model = model

    def explain(self, inputs, parameters):
        if parameters:
            raise InvalidArgument(f"parameters: none, got {', '.join(parameters)}")
        x = inputs["x"]
        whole = self.model.predict(inputs, "odds")["odds"][:, 1]
        parts = []
        for column in range(x.shape[1]):
            without = x.copy()
            without[:, column] = 0
            parts.append(whole - self.model.predict({"x": without}, "odds")["odds"][:, 1])
        return {"attributions": np.stack(parts, axis=1)}
