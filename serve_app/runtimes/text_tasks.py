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
    "zero-shot-classification": Task("AutoModelForSequenceClassification", "ForSequenceClassification"),
    "feature-extraction": Task("AutoModel"),
    "token-classification": Task("AutoModelForTokenClassification", "ForTokenClassification", True),
    "fill-mask": Task("AutoModelForMaskedLM", "ForMaskedLM", True),
}


def example(task: str, tokenizer: Any) -> list[str] | None:
    """A text that the task can do something with, where any isn't good enough."""
    return [f"Tandem serves {tokenizer.mask_token}."] if task == "fill-mask" else None


def outputs(task: str, config: Any) -> list[TensorSpec]:
    """What a network of this configuration answers."""
    if task == "embedding":
        return [TensorSpec("embedding", "FP32", (-1, config.hidden_size))]
    if task == "feature-extraction":
        vectors = TensorSpec("features", "FP32", (-1, -1, config.hidden_size))
        return [vectors, TensorSpec("tokens", "INT64", (-1,))]
    if task == "token-classification":
        return [TensorSpec("labels", "INT64", (-1, -1))]
    if task == "fill-mask":
        return [TensorSpec("token", "BYTES", (-1,))]
    names = [str(config.id2label[number]) for number in range(config.num_labels)]
    return [
        TensorSpec("probabilities", "FP32", (-1, config.num_labels), labels=names),
        TensorSpec("label", "BYTES", (-1,)),
    ]


def answer(task: str, out: np.ndarray, tokens: Arrays, config: Any, tokenizer: Any) -> Arrays:
    """Of what the network gave for each text; of tasks of tokens that is the likeliest number of each
    token."""
    if task == "embedding":
        return {"embedding": out}
    if task == "text-classification":
        labels = np.empty(len(out), dtype=object)
        labels[:] = [str(config.id2label[int(best)]).encode() for best in out.argmax(-1)]
        return {"probabilities": out, "label": labels}
    if task == "feature-extraction":
        return {"features": out, "tokens": tokens["attention_mask"].sum(1)}
    best = np.where(tokens["attention_mask"] == 0, PADDING, out)
    if task == "fill-mask":
        return {"token": words(best, tokens, tokenizer)}
    return {"labels": best}


def words(best: np.ndarray, tokens: Arrays, tokenizer: Any) -> np.ndarray:
    """The words for each text's masks, as BYTES."""
    found_words = np.empty(len(best), dtype=object)
    for row, (ids, found) in enumerate(zip(tokens["input_ids"], best, strict=True)):
        masked = found[(ids == tokenizer.mask_token_id) & (found != PADDING)]
        if not len(masked):
            raise InvalidArgument(f"texts: element {row} has no {tokenizer.mask_token} to fill")
        found_words[row] = tokenizer.decode(masked).encode()
    return found_words
