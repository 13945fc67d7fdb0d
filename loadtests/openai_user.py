"""A user of an LLM: chat completions by OpenAI's protocol, streamed, timed token by token.

A locust file of its own, since the demo models hold no conversation:
`make load ARGS="-f loadtests/openai_user.py --host http://127.0.0.1:8080 --model llm"`.

Locust's table gets three rows for a model. OpenAI: whole answers, to [DONE]. TTFT: time to first
token, to the first chunk that has text. ITL: inter-token latency, an entry for every gap between two
chunks that have text. Where a chunk carries several tokens, a gap is between chunks, not tokens; the
line about tokens at the end tells how many a chunk has, and the line after it the goodput. Failed
answers have no TTFT and no ITL. The row Aggregated adds up all of these and means nothing.
"""

import time
from typing import Any, ClassVar

import gevent
import numpy as np
import orjson
from locust import FastHttpUser

from loadtests import openai_options, openai_stream
from loadtests import shapes as shapes  # its options, and the load over time
from loadtests.openai_stream import Completion
from loadtests.payloads import Sample, WrongAnswer
from loadtests.users import ModelUser

_EVENTS = "text/event-stream"
# Compressed, tokens could wait in the compressor for others to come.
_HEADERS = {"Content-Type": "application/json", "Accept": _EVENTS, "Accept-Encoding": "identity"}
_AT_ONCE = 100  # gaps reported (4 us each) before other users get a turn, who have tokens to time


def chat(user: "OpenAIUser") -> None:
    options = user.environment.parsed_options
    text = np.array([openai_options.prompt(options).encode()], dtype=object)
    user.infer(Sample(options.model, {"prompt": text}, {}, lambda _: None))


class OpenAIUser(ModelUser, FastHttpUser):  # type: ignore[misc]
    """One connection, one answer at a time."""

    tasks: ClassVar = [chat]
    host = openai_options.URL
    connection_timeout = 60.0
    network_timeout = 600.0  # between two reads: a loaded server may be long silent before a token

    def on_start(self) -> None:
        """Paths come after it."""
        self.client.base_url = self.client.base_url.rstrip("/")

    def exchange(self, sample: Sample, waited: float) -> None:
        """Ask, read along, check, and report."""
        body = _write(sample, self.environment.parsed_options.max_tokens)
        answer = Completion()
        due = time.perf_counter() - waited
        with self.client.post(
            "/v1/chat/completions", data=body, headers=_HEADERS, name=sample.model,
            stream=True, catch_response=True,
        ) as response:  # fmt: skip
            problem = self._receive(response, answer)
            meta = response.request_meta
            meta["request_type"] = "OpenAI"
            meta["response_time"] = ((answer.ended or time.perf_counter()) - due) * 1000
            meta["start_time"] -= waited
            meta["response_length"] = answer.size
            if problem:
                response.failure(problem)
        if not problem:
            self.environment.tokens.count(answer.tokens, answer.times, due)
            self._report("TTFT", sample.model, answer.times[0] - due)
            for index, gap in enumerate(answer.gaps, 1):
                self._report("ITL", sample.model, gap)
                if index % _AT_ONCE == 0:
                    gevent.sleep(0)

    def _receive(self, response: Any, answer: Completion) -> Exception | None:
        """Read to the end. What is wrong with the answer, or None."""
        if response.status_code == 0:
            nothing: Exception = response.error
            return nothing
        try:
            if response.status_code != 200:
                return WrongAnswer(f"{response.status_code}: {response.content[:200]!r}")
            kind = str(response.headers.get("content-type"))
            if kind.partition(";")[0].strip().lower() != _EVENTS:
                return WrongAnswer(f"the content type is {kind}, not {_EVENTS}")
            # By `readline` alone does this client give what has come. `read`, and with it locust's
            # iter_lines and iter_content, wait until a whole block is full.
            lines = iter(lambda: response.stream.readline(b"\n"), b"")
            for data in openai_stream.events(lines):
                answer.take(data, time.perf_counter())
            answer.check(self.environment.parsed_options.max_tokens)
        except WrongAnswer as error:
            return error
        except Exception as error:  # an answer that can't be read is a failure, not the user's end
            return WrongAnswer(f"the stream was cut off or can't be read: {error!r}")
        finally:
            response.release()  # a connection in the middle of an answer is closed
        return None

    def _report(self, kind: str, model: str, seconds: float) -> None:
        self.environment.events.request.fire(
            request_type=kind, name=model, response_time=seconds * 1000, response_length=0,
            context=self.context(), exception=None,
        )  # fmt: skip


def _write(sample: Sample, max_tokens: int) -> bytes:
    messages = [{"role": "user", "content": sample.inputs["prompt"][0].decode()}]
    return orjson.dumps(
        {"model": sample.model, "messages": messages, "max_tokens": max_tokens}
        | {"stream": True, "stream_options": {"include_usage": True}}
    )
