"""LIME of texts: what happens to the answer where words are taken out."""

import re
from collections.abc import Callable

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.explainers.answers import Row, Targets, answered
from serve_app.explainers.asking import Asked
from serve_app.explainers.base import Options, affordable, library, selection
from serve_app.explainers.labels import labels_of
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import Arrays

_USUAL = 10  # words


class LimeTexts:
    """Of models that take one tensor of texts."""

    def __init__(self) -> None:
        self._lime = library("lime.lime_text")

    def explain(self, inputs: Arrays, asked: Asked, options: Options) -> Arrays:
        """Words in the order of their weight."""
        about = asked.describe()
        name, array = _one(inputs)
        try:
            rows = [item.decode() for item in array.reshape(len(array))]
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"tensor '{name}': a text isn't valid UTF-8: {error}") from None
        affordable(options.samples, max(map(len, rows)) // 4)  # a word has some letters
        scores = asked(inputs)
        labels = labels_of(about, asked.output)
        targets = Targets(asked.output or "the first output", scores, labels, options.wanted)

        def ask(texts: list[str]) -> np.ndarray:
            made = np.empty(len(texts), dtype=object)
            made[:] = [text.encode() for text in texts]
            return asked({name: made.reshape(len(texts), *array.shape[1:])})

        found = [
            self._row(text, int(column), ask, options)
            for text, column in zip(rows, targets.columns, strict=True)
        ]
        return answered(found, targets)

    def _row(
        self, text: str, column: int, ask: Callable[[list[str]], np.ndarray], options: Options
    ) -> Row:
        if not any(one.isalnum() for one in text):  # there is no word to take out
            return Row(np.zeros(0), float(ask([text])[0, column]), fidelity=1.0)
        explainer = self._lime.LimeTextExplainer(
            feature_selection=selection(len(re.split(r"\W+", text))),
            random_state=np.random.RandomState(options.seed),
        )
        found = explainer.explain_instance(
            text,
            lambda texts: ask(texts)[:, [column]],
            labels=(0,),
            num_features=options.features or _USUAL,
            num_samples=options.samples,
        )
        words = [str(word) for word, _ in found.as_list(0)]
        weights = np.array([weight for _, weight in found.as_list(0)], np.float64)
        return Row(weights, float(found.intercept[0]), words, fidelity=float(found.score))


def _one(inputs: Arrays) -> tuple[str, np.ndarray]:
    name, array = next(iter(inputs.items()))
    if len(inputs) != 1 or array.dtype != BYTES or array.size != len(array):
        raise InvalidArgument(
            f"inputs: kind text explains models of one tensor of texts, got {', '.join(inputs)}"
        )
    return name, array
