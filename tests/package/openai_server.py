"""A small server of chat completions, its delays and its faults chosen by the prompt."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIRST_S, GAP_S, TOKENS = 0.15, 0.02, 50


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "chat-1", "object": "chat.completion.chunk", "model": "tiny", "choices": choices}
    return b"data: " + json.dumps({**body, **more}, ensure_ascii=False).encode() + b"\n\n"


ROLE, END = chunk({"role": "assistant", "content": ""}), chunk({}, "stop")
DONE = b"data: [DONE]\n\n"


def usage(tokens: int) -> bytes:
    return chunk(usage={"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": tokens + 3})


TEXT = [chunk({"content": text}) for text in ("Grüße, ", "世界", " 👋")]
GOOD = [ROLE, *TEXT, END, usage(6), DONE]  # two tokens a chunk
ERROR = b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'

# What a prompt of that name is answered with. All of them are right answers.
VARIANTS: dict[str, list[bytes]] = {
    "byte by byte": [bytes([byte]) for byte in b"".join(GOOD)],
    "all at once": [b"".join(GOOD)],
    "CR LF and keep-alives": [
        part for one in GOOD for part in (b": ping\r\n\r\n", one.replace(b"\n", b"\r\n"))
    ],
}
# None of these is: the answer, and what the failure must say.
FAULTS: dict[str, tuple[list[bytes], str]] = {
    "cut between events": ([*GOOD[:3], b""], "cut off"),
    "cut in an event": ([*GOOD[:3], GOOD[3][:9], b""], "cut off"),
    "no DONE": (GOOD[:-1], r"ended before \[DONE\]"),
    "error": ([*GOOD[:3], ERROR, DONE], "mid-stream: out of memory"),
    "no usage": ([*GOOD[:5], DONE], "no usage"),
    "no text": ([ROLE, END, usage(1), DONE], "no text"),
    "no finish_reason": ([*GOOD[:4], usage(3), DONE], "no finish_reason"),
    "no role": (GOOD[1:], "role"),
    "another role": ([*GOOD[:2], chunk({"role": "user"}), *GOOD[2:]], "role"),
    "text after the end": ([*GOOD[:5], TEXT[0], usage(4), DONE], "after the finish_reason"),
    "an event after DONE": ([*GOOD, TEXT[0]], r"after \[DONE\]"),
    "no JSON": ([*GOOD[:2], b"data: {\n\n", *GOOD[2:]], "not JSON"),
    "no object": ([b"data: 1\n\n", *GOOD], "not an object"),
    "another object": ([chunk({}, object="chat.completion")], "chat.completion.chunk"),
    "another id": ([*GOOD[:2], chunk({"content": "x"}, id="chat-2"), *GOOD[2:]], "id in common"),
    "another choice": ([*GOOD[:2], chunk(choices=[{"index": 1, "delta": {}}])], "choice"),
    "a number": ([ROLE, chunk({"content": 5}), *GOOD[2:]], "not text"),
    "too few tokens": ([*GOOD[:5], usage(2), DONE], "fewer tokens"),
    "too many tokens": ([*GOOD[:5], usage(65), DONE], "max_tokens"),
}
OTHER_FAULTS = {"type": "content type is application/json", "500": "500: b'broken'"}


class Chat(BaseHTTPRequestHandler):
    """Answers as the prompt says, any other one with TOKENS tokens in their time."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.whole(200, json.dumps({"object": "list", "data": [{"id": "tiny"}]}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = asked["messages"][-1]["content"]
        wanted = {
            "model": "tiny",
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": 64,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if "ignore_eos" in asked:  # the benchmark's
            wanted |= {"max_tokens": asked["max_tokens"], "temperature": 0, "ignore_eos": True}
        if asked != wanted or self.path not in ("/v1/chat/completions", "/openai/v1/chat/completions"):
            self.whole(400, f"not what was expected: {self.path} {asked}".encode())
            return
        if prompt in OTHER_FAULTS:
            self.whole(500 if prompt == "500" else 200, b"broken")
        elif prompt in VARIANTS:
            self.stream((0.0001, part) for part in VARIANTS[prompt])
        elif prompt in FAULTS:
            self.stream((0.0, part) for part in FAULTS[prompt][0])
        else:
            waits = [0.0, FIRST_S, *[GAP_S] * (TOKENS - 1), 0.0, 0.0, 0.0]
            parts = [ROLE, *[TEXT[1]] * TOKENS, END, usage(TOKENS), DONE]
            self.stream(zip(waits, parts, strict=True))

    def whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, parts: Iterable[tuple[float, bytes]]) -> None:
        """Every part in a packet of its own; an empty one ends the connection then and there."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for wait, part in parts:
            time.sleep(wait)
            if not part:
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client may leave in the middle
            super().handle_error(*arguments)


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """Its URL."""
    server = Server(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
