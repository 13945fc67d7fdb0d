"""Classes that nobody trained for: a network that says whether a text entails a sentence is asked about
a sentence for each class. As Transformers' own pipeline computes it."""

import logging
from typing import Any

import numpy as np

from serve_app.config import TransformersOptions
from serve_app.errors import InvalidArgument
from serve_app.protocol.tensors import Arrays, TensorSpec
from serve_app.runtimes.texts import TEXT

log = logging.getLogger("tandem")

LABELS = "labels"
MOST_LABELS = 256  # of a text: the network runs once for each


def inputs(options: TransformersOptions, text: TensorSpec) -> list[TensorSpec]:
    """The texts, and for each the classes to choose from."""
    example = options.labels or ["software", "weather"]
    known = bool(options.labels)
    return [text, TensorSpec(LABELS, "BYTES", (-1, -1), optional=known, example=example, text=True)]


def outputs() -> list[TensorSpec]:
    """The classes of each text by their scores, the highest first."""
    return [TensorSpec(LABELS, "BYTES", (-1, -1)), TensorSpec("scores", "FP32", (-1, -1))]


def labels_of(given: Arrays, options: TransformersOptions) -> np.ndarray:
    """BYTES [texts, labels]: the request's, or those of the configuration for each text."""
    count = len(given[TEXT])
    labels = given.get(LABELS)
    if labels is None:
        own = np.array([label.encode() for label in options.labels], dtype=object)
        return np.tile(own, (count, 1))
    if len(labels) != count:
        raise InvalidArgument(f"tensor '{LABELS}': {len(labels)} rows, for {count} texts")
    if not 1 <= labels.shape[1] <= MOST_LABELS:
        raise InvalidArgument(f"tensor '{LABELS}': 1 to {MOST_LABELS} a text, got {labels.shape[1]}")
    return labels


def pairs(texts: np.ndarray, labels: np.ndarray, hypothesis: str) -> list[tuple[str, str]]:
    """Each text with a sentence for each of its classes."""
    return [
        (text.decode(), hypothesis.replace("{}", label.decode(), 1))
        for text, row in zip(texts, labels, strict=True)
        for label in row
    ]


def entailment(config: Any) -> int:
    """The class of the network that says so."""
    named = [
        number for number, name in config.id2label.items() if str(name).lower().startswith("entail")
    ]
    if not named:
        log.warning(
            "%s: no label of the network is called entailment: the last one is taken for it",
            config.name_or_path,
        )
    return int(named[0]) if named else int(config.num_labels) - 1


def answer(logits: np.ndarray, labels: np.ndarray, entails: int, multi_label: bool) -> Arrays:
    """`logits`: of each pair. A class that is alone, or one of several at once, is held against its
    contrary, else against the others."""
    found = logits.reshape(*labels.shape, -1)
    if multi_label or labels.shape[1] == 1:
        contrary = found.shape[-1] - 1 if entails == 0 else 0
        scores = _softmax(found[..., [contrary, entails]])[..., 1]
    else:
        scores = _softmax(found[..., entails])
    order = scores.argsort(-1)[:, ::-1]
    return {
        LABELS: np.take_along_axis(labels, order, -1),
        "scores": np.take_along_axis(scores, order, -1).astype(np.float32),
    }


def _softmax(values: np.ndarray) -> Any:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
