"""A model in plain Python: the most telling words of a text."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.tensors import TensorSpec


class Keywords:
    """Texts in, for each the `count` words that are frequent in it and rare elsewhere."""

    inputs = [TensorSpec("text", "BYTES", (-1,), example=["A tandem has two seats and two saddles."])]
    outputs = [TensorSpec("keywords", "BYTES", (-1,))]

    def __init__(self, count: int = 3) -> None:  # `options` of the configuration
        self.count = count

    def load(self, folder: Path) -> None:  # where this version lies, below storageUri
        self.weights = json.loads((folder / "weights.json").read_text())
        self.rarest = max(self.weights.values())

    def predict(self, inputs: dict[str, np.ndarray], parameters: dict) -> dict[str, np.ndarray]:
        found = [self.telling(text.decode()) for text in inputs["text"]]
        return {"keywords": np.array(found, dtype=object)}

    def telling(self, text: str) -> str:
        words = Counter(re.findall(r"[a-z]+", text.lower()))
        if not words:
            raise InvalidArgument(f"there is no word in {text!r}")  # the client's fault: a 400
        weight = {word: n * self.weights.get(word, self.rarest) for word, n in words.items()}
        return " ".join(sorted(weight, key=weight.get, reverse=True)[: self.count])
