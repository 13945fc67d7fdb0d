"""A completion's choices, in OpenAI's form, as the tensors that Triton's vLLM backend answers with."""

from typing import Any

import numpy as np
import orjson

from serve_app.protocol.generation import (
    CUMULATIVE,
    INPUT_TOKENS,
    LOGPROBS,
    OUTPUT,
    OUTPUT_TOKENS,
    REASON,
    Generation,
)
from serve_app.protocol.tensors import Arrays

# Of each token: those that were likely by their ids, as serve_app.internals.vllm_app gives them.
BY_ID = "by_id"
_NONE = "None"  # Triton's word for a text that goes on


class Answer:
    """The outputs of one generation, whole or piece by piece."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._reasons: dict[int, str] = {}  # of the texts that ended
        self._sums: dict[int, float] = {}
        self._prompts: dict[int, int] = {}  # their lengths in tokens, by text

    def whole(self, choices: list[dict[str, Any]]) -> Arrays:
        """Of all choices, in the order of the texts."""
        return self._arrays(choices, len(choices))

    def piece(self, choices: list[dict[str, Any]]) -> tuple[Arrays, bool]:
        """What came since the last piece, and whether it is the end."""
        arrays = self._arrays(choices, self._generation.rows)
        return arrays, len(self._reasons) == self._generation.rows

    def _arrays(self, choices: list[dict[str, Any]], rows: int) -> Arrays:
        wanted, texts = self._generation.wanted, self._generation.texts
        each = rows // len(texts)
        found: list[dict[str, Any]] = [{} for _ in range(rows)]
        for choice in choices:
            found[choice["index"]] = choice
            self._note(choice, each)
        before = texts if self._generation.repeats else [""] * len(texts)
        arrays = {
            OUTPUT: _bytes(before[row // each] + one.get("text", "") for row, one in enumerate(found))
        }
        if REASON in wanted:
            arrays[REASON] = _bytes(self._reasons.get(row, _NONE) for row in range(rows))
        if CUMULATIVE in wanted:
            arrays[CUMULATIVE] = np.array([self._sums.get(row, 0.0) for row in range(rows)], np.float32)
        if LOGPROBS in wanted:
            arrays[LOGPROBS] = _bytes(map(self._likely, found))
        if INPUT_TOKENS in wanted:
            lengths = [self._prompts.get(text, 0) for text in range(len(texts))]
            arrays[INPUT_TOKENS] = np.array(lengths, np.uint32)
        if OUTPUT_TOKENS in wanted:
            counts = [len(one.get("token_ids") or ()) for one in found]
            arrays[OUTPUT_TOKENS] = np.array(counts, np.uint32)
        return arrays

    def _note(self, choice: dict[str, Any], each: int) -> None:
        row = choice["index"]
        if reason := choice.get("finish_reason"):
            self._reasons[row] = reason
        if logprobs := choice.get("logprobs"):
            now = sum(value for value in logprobs["token_logprobs"] if value is not None)
            self._sums[row] = self._sums.get(row, 0.0) + now
        if prompt := choice.get("prompt_token_ids"):  # in a stream, of the first piece alone
            self._prompts[row // each] = len(prompt)

    def _likely(self, choice: dict[str, Any]) -> str:
        if not self._generation.likely:
            return "null"
        return orjson.dumps((choice.get("logprobs") or {}).get(BY_ID, [])).decode()


def _bytes(values: Any) -> np.ndarray:
    encoded = [value.encode("utf-8", "replace") for value in values]
    array = np.empty(len(encoded), dtype=object)
    array[:] = encoded
    return array
