"""How far two generated texts agree: the share of tokens with which both begin, and their lengths.

A token is here a word or a mark of punctuation: which tokens an engine has is its tokenizer's to say,
and two versions may have different ones.
"""

import re
from dataclasses import dataclass

import numpy as np

_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Texts:
    """Of all texts of an answer together: tokens that both begin with, those of the longer one of each
    two, and how many each side has.
    """

    common: int
    longer: int
    answer: int
    copy: int

    @property
    def share(self) -> float:
        """Of the longer ones; 1 where there are no tokens."""
        return self.common / self.longer if self.longer else 1.0


def agreement(one: np.ndarray, other: np.ndarray) -> Texts:
    """Text by text, in their order."""
    common = longer = answer = copy = 0
    for left, right in zip(one.reshape(-1), other.reshape(-1), strict=False):
        a, b = _tokens(left), _tokens(right)
        pairs = enumerate(zip(a, b, strict=False))
        common += next((at for at, (x, y) in pairs if x != y), min(len(a), len(b)))
        longer += max(len(a), len(b))
        answer += len(a)
        copy += len(b)
    return Texts(common, longer, answer, copy)


def _tokens(text: bytes) -> list[str]:
    # One by one: in one go others would wait for the interpreter until the end of a long text.
    return [found[0] for found in _TOKEN.finditer(text.decode("utf-8", "replace"))]
