"""The tasks of text models: which of Transformers' classes does each, and what it answers.

Those of tokens have a number for each token of a text; the others a row of numbers for each text.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.tensors import Arrays, TensorSpec

PADDING = -100  # behind a text's last token, as Transformers marks what counts for nothing


@dataclass(frozen=True, slots=True)
class Task:
    """`auto`: Transformers' class; `trained`: how the names of networks end that have its weights, ''
    where every one has; `tokens`: whether it is of tokens."""

    auto: str
    trained: str = ""
    tokens: bool = False


TASKS = {
    "embedding": Task("AutoModel"),
    "text-classification": Task("AutoModelForSequenceClassification", "ForSequenceClassification"),
    "token-classification": Task("AutoModelForTokenClassification", "ForTokenClassification", True),
    "fill-mask": Task("AutoModelForMaskedLM", "ForMaskedLM", True),
}


def outputs(task: str, config: Any) -> list[TensorSpec]:
    """What a network of this configuration answers."""
    if task == "embedding":
        return [TensorSpec("embedding", "FP32", (-1, config.hidden_size))]
    if task == "token-classification":
        return [TensorSpec("labels", "INT64", (-1, -1))]
    if task == "fill-mask":
        return [TensorSpec("token", "BYTES", (-1,))]
    names = [str(config.id2label[number]) for number in range(config.num_labels)]
    return [
        TensorSpec("probabilities", "FP32", (-1, config.num_labels), labels=names),
        TensorSpec("label", "BYTES", (-1,)),
    ]


def of_tokens(task: str, best: np.ndarray, tokens: Arrays, tokenizer: Any) -> Arrays:
    """The answer, of the likeliest number of each token, PADDING behind a text's end."""
    if task == "token-classification":
        return {"labels": best}
    words = np.empty(len(best), dtype=object)
    for row, (ids, found) in enumerate(zip(tokens["input_ids"], best, strict=True)):
        masked = found[(ids == tokenizer.mask_token_id) & (found != PADDING)]
        if not len(masked):
            raise InvalidArgument(f"tensor 'text': element {row} has no {tokenizer.mask_token} to fill")
        words[row] = tokenizer.decode(masked).encode()
    return {"token": words}
