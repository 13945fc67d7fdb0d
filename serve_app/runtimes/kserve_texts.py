"""Answers of text models as KServe's huggingfaceserver gives them: one output, whichever the task.

Of classifications that is the number of the likeliest class; or, asked for probabilities or logits, for
each text (or token) an object of them by class, which V2 has as the text that Python writes for it.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from serve_app.protocol.tensors import Arrays, TensorSpec
from serve_app.runtimes.text_tasks import outputs, words

OUTPUT, PROBABILITIES = "output-0", "probabilities"
VALUES = ("kserve-probabilities", "kserve-logits")  # those of `answers` that are objects


def output(task: str, answers: str, config: Any) -> TensorSpec:
    """What a network of this configuration answers."""
    if task == "embedding":
        return TensorSpec(OUTPUT, "FP64", (-1, config.hidden_size))
    if task == "fill-mask":
        return TensorSpec(OUTPUT, "BYTES", (-1,))
    of_tokens = task == "token-classification"
    if answers in VALUES:
        return TensorSpec(OUTPUT, "BYTES", (-1, -1) if of_tokens else (-1,))
    return TensorSpec(OUTPUT, "INT64", (-1, 1, -1) if of_tokens else (-1,))


def more(task: str, answers: str, config: Any) -> list[TensorSpec]:
    """What is answered beside it to those who name it: explainers want numbers."""
    if task != "text-classification" or answers in VALUES:
        return []
    return [replace(spec, optional=True) for spec in outputs(task, config) if spec.name == PROBABILITIES]


def answer(task: str, answers: str, out: np.ndarray, tokens: Arrays, tokenizer: Any) -> Arrays:
    """Of what the network gave for each text: a vector, numbers for each class, or the likeliest class
    (or word) of each token."""
    if task == "embedding":
        return {OUTPUT: out.astype(np.float64)}
    if task == "fill-mask":
        return {OUTPUT: words(out, tokens, tokenizer)}
    if answers in VALUES:
        return {OUTPUT: _objects(out, answers == "kserve-probabilities")}
    if task == "token-classification":
        return {OUTPUT: out[:, None, :]}
    return {OUTPUT: out.argmax(-1)}


def _objects(values: np.ndarray, rounded: bool) -> np.ndarray:
    found = np.empty(values.shape[:-1], dtype=object)
    for at in np.ndindex(found.shape):
        row = values[at].tolist()
        by_class = {j: round(value, 4) if rounded else value for j, value in enumerate(row)}
        found[at] = str(by_class).encode()
    return found
