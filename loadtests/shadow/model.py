"""A model whose versions answer alike, but for what each is told to do wrong."""

import random
import time

from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec

# By version: seconds that it takes, the share of requests that it fails, and of answers that differ.
HONEST, BAD, PLANTED = "1", "2", "3"
_SHARES = {HONEST: (1.0, 0.0, 0.0), BAD: (10.0, 0.5, 0.0), PLANTED: (1.0, 0.0, 0.005)}


class Answers:
    """x + 1 after `seconds`: version 2 takes ten times as long and fails half, version 3 adds one more
    where x, which is between 0 and 1, is below 0.005. `compute`: it computes as long, not just waits.
    """

    inputs = (TensorSpec("x", "FP32", (-1, 1)),)
    outputs = (TensorSpec("y", "FP32", (-1, 1)),)

    def __init__(
        self, version: str, seconds: float, compute: bool = False, folder: object = None
    ) -> None:
        times, self._fails, self._differs = _SHARES[version]
        self._seconds, self._compute = seconds * times, compute

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """As the version does."""
        until = time.thread_time() + self._seconds
        if not self._compute:
            time.sleep(self._seconds)
        while self._compute and time.thread_time() < until:
            pass
        if random.random() < self._fails:
            raise RuntimeError("as planned")
        x = inputs["x"]
        return {"y": x + 1 + (x < self._differs)}
