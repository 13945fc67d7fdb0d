"""From texts to tokens, by the library `tokenizers` alone, which is there in a moment and small.

How that is done stands in a `Recipe`. Transformers makes it, where a network is loaded anyway: its
classes decide more than `tokenizer.json` says. From there it can be sent to where no network is.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.tables import MATRIX
from serve_app.protocol.tensors import Arrays
from serve_app.repository.entries import pin
from serve_app.runtimes.base import need

TEXT = "text"
# Of a text, for each token that the model takes: what follows wouldn't be seen, and costs memory.
_MOST_PER_TOKEN = 64
_MOST_CHARACTERS = 2**20
_MADE_OF = (".json", ".txt", ".model", ".tiktoken")  # tokenizers, among a version's files

Words = list[str] | list[tuple[str, str]]
Tokenize = Callable[[Words], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Recipe:
    """`tokenizer`: as `tokenizers` writes it, padding and truncation included, '' where only
    Transformers can; `inputs`: the network's; `special`: as its `encode_special_tokens`; `max_length`:
    of a text, in tokens; `files`: the digest of what it was made from."""

    tokenizer: str
    inputs: tuple[str, ...]
    special: bool
    max_length: int
    files: str

    def packed(self) -> bytes:
        """To be sent."""
        return zlib.compress(json.dumps(asdict(self)).encode(), 1)

    @staticmethod
    def unpacked(data: bytes) -> "Recipe":
        """What was sent."""
        known = json.loads(zlib.decompress(data))
        return Recipe(**known | {"inputs": tuple(known["inputs"])})

    def encoder(self) -> "TextEncoder":
        """That does it."""
        return TextEncoder(_tokenize(self), self.max_length)


def texts_of(inputs: Arrays) -> np.ndarray | None:
    """A request's texts, by either name that models have for them; None where they are tokens."""
    return inputs.get(TEXT, inputs.get(MATRIX))


class TextEncoder:
    """Texts to padded token arrays, INT64 [texts, longest]."""

    def __init__(self, tokenize: Tokenize, max_length: int) -> None:
        self._tokenize = tokenize
        self._most = min(max_length * _MOST_PER_TOKEN, _MOST_CHARACTERS)

    def encode(self, texts: np.ndarray) -> Arrays:
        """Tokenize BYTES [texts]; InvalidArgument when an element isn't UTF-8.

        A text is cut before it is tokenized: the library makes tokens of all of it, and drops most.
        """
        words: list[str] = []
        for index, item in enumerate(texts.flat):
            try:
                words.append(item.decode()[: self._most])
            except UnicodeDecodeError:
                raise InvalidArgument(f"tensor '{TEXT}': element {index} is not UTF-8") from None
        return self._encoded(words)

    def encode_pairs(self, pairs: list[tuple[str, str]]) -> Arrays:
        """The same, of two texts each."""
        return self._encoded([(one[: self._most], two[: self._most]) for one, two in pairs])

    def _encoded(self, words: Words) -> Arrays:
        empty = np.zeros((len(words), 1), dtype=np.int64)
        if not words:
            return {"input_ids": empty, "attention_mask": empty}
        tokens = self._tokenize(words)
        if not tokens["input_ids"].shape[1]:  # empty texts, and a tokenizer without special tokens
            return {"input_ids": empty, "attention_mask": empty}
        return {name: np.asarray(array, dtype=np.int64) for name, array in tokens.items()}


def _tokenize(recipe: Recipe) -> Tokenize:
    tokenizer: Any = need("tokenizers", "transformers").Tokenizer.from_str(recipe.tokenizer)
    tokenizer.encode_special_tokens = recipe.special
    wanted = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    columns = {name: wanted[name] for name in recipe.inputs if name in wanted}

    def run(words: Words) -> Mapping[str, np.ndarray]:
        # The fast one keeps no places of tokens in their text, which nobody asks for.
        found = tokenizer.encode_batch_fast(words)
        return {
            name: np.array([getattr(one, column) for one in found], dtype=np.int64)
            for name, column in columns.items()
        }

    return run


def digest(folder: Path) -> str:
    """Of the files that say how a version's texts become tokens; of fetched ones what pins them all."""
    if pinned := pin(folder):
        return pinned
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in _MADE_OF and file.is_file():
            whole.update(f"{file.name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return whole.hexdigest()
