"""An OpenAI chat completion as it streams: server-sent events read, each chunk checked and timed."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from loadtests.payloads import WrongAnswer

# Where the text of a delta is. A thinking model's reader waits for its thoughts as for its answer.
_TEXTS = ("content", "reasoning_content", "reasoning")
_SHOWN = 200  # characters of a server's error


def events(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The data of server-sent events, each as soon as the empty line that ends it has come.

    Comments (keep-alives) and fields other than data are passed over, as is an event without an end.
    Lines are bytes that end with LF or CR LF: a character is whole again before anybody decodes it.
    """
    data: list[bytes] = []
    for ended in lines:
        line = ended.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []


class Completion:
    """One answer: `take` every event when it comes, then `check` the whole. Both raise WrongAnswer."""

    def __init__(self) -> None:
        self.times: list[float] = []  # of the chunks with text
        self.size = 0  # bytes of events
        self.tokens = 0
        self.ended: float | None = None  # when [DONE] came
        self._id: Any = None
        self._role: str | None = None
        self._finish: str | None = None
        self._usage: Any = None

    @property
    def gaps(self) -> list[float]:
        """Seconds between a chunk with text and the next."""
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]

    def take(self, data: bytes, now: float) -> None:
        """The next event, which came at `now`."""
        self.size += len(data)
        if self.ended is not None:
            raise WrongAnswer("an event after [DONE]")
        if data == b"[DONE]":
            self.ended = now
            return
        chunk = _chunk(data)
        self._id = self._id or chunk.get("id")
        if not self._id or chunk.get("id") != self._id:
            raise WrongAnswer("the chunks don't have one id in common")
        self._usage = chunk.get("usage") or self._usage
        choices = chunk["choices"]
        if not choices:  # the chunk of the usage has none
            return
        if len(choices) != 1 or choices[0]["index"] != 0:
            raise WrongAnswer("another choice than the only one that was asked for")
        self._take_delta(choices[0].get("delta") or {}, choices[0].get("finish_reason"), now)

    def _take_delta(self, delta: dict[str, Any], finish: str | None, now: float) -> None:
        # Some servers repeat the role in every chunk.
        self._role = delta.get("role") or self._role
        if self._role != "assistant":
            raise WrongAnswer("the first chunk is not of the role assistant")
        texts = [delta[key] for key in _TEXTS if delta.get(key)]
        if not all(isinstance(text, str) for text in texts):
            raise WrongAnswer("the content is not text")
        if self._finish and (texts or finish):
            raise WrongAnswer("more after the finish_reason")
        if texts:
            self.times.append(now)
        self._finish = finish or self._finish

    def check(self, max_tokens: int) -> None:
        """Whether all came; sets `tokens`."""
        if self.ended is None:
            raise WrongAnswer("the stream ended before [DONE]")
        if not self.times:
            raise WrongAnswer("no text in the answer")
        if not self._finish:
            raise WrongAnswer("no finish_reason")
        tokens = self._usage.get("completion_tokens") if isinstance(self._usage, dict) else None
        if not isinstance(tokens, int):
            raise WrongAnswer("no usage, which was asked for")
        if tokens < len(self.times):  # a chunk has one token or more; an end token has no chunk
            raise WrongAnswer("the usage has fewer tokens than there were chunks with text")
        if tokens > max_tokens:
            raise WrongAnswer("more tokens than max_tokens")
        self.tokens = tokens


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise WrongAnswer("a chunk is not JSON") from None
    if not isinstance(chunk, dict):
        raise WrongAnswer("a chunk is not an object")
    if error := chunk.get("error"):
        message = error.get("message", error) if isinstance(error, dict) else error
        raise WrongAnswer(f"an error in mid-stream: {str(message)[:_SHOWN]}")
    if chunk.get("object") != "chat.completion.chunk":
        raise WrongAnswer("an event is not a chat.completion.chunk")
    return chunk
