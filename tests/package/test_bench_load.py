"""The benchmark's load generators and its checks of answers, against the bare server."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from loadtests.answers import Answers, Different, Refused, ask
from loadtests.bench import generators
from loadtests.bench.generators import Sample, send
from loadtests.bench.points import BARE, Point
from loadtests.bench.servers import serving
from loadtests.client.target import Target
from loadtests.requests import binary_request, echo
from loadtests.servers import Server

ECHO = Point("echo-http", "2 connections", (echo(),), 2)
BINARY = Point("binary", "HTTP", (binary_request("identity", 1000, grpc=False),), 2)
GRPC = Point("echo-grpc", "4 in flight", (binary_request("identity", 16, grpc=True),), 2, streams=2)


@pytest.fixture(scope="module")
def bare() -> Iterator[Server]:
    with serving(BARE, [ECHO]) as server:
        yield server


def port_of(server: Server, point: Point) -> int:
    return server.grpc_port if point.grpc else server.http_port


def check_sample(sample: Sample, client: str) -> None:
    assert sample.client == client
    assert sample.rate > 20
    assert sample.errors == 0
    assert 0 < sample.p50 <= sample.p99 < 1
    assert sample.client_cpu > 0


@pytest.mark.parametrize(("program", "point"), [("wrk", ECHO), ("h2load", GRPC)])
def test_compiled_clients(bare: Server, program: str, point: Point) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    check_sample(send(point, port_of(bare, point), 1), program)


@pytest.mark.parametrize("point", [ECHO, GRPC], ids=["HTTP", "gRPC"])
def test_the_python_client_in_a_closed_loop(
    bare: Server, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generators, "tool", lambda grpc: "python")
    check_sample(send(point, port_of(bare, point), 1), "python")


def test_the_python_client_in_an_open_loop(bare: Server) -> None:
    sample = send(replace(ECHO, connections=16), bare.http_port, 1, rate=200)
    check_sample(sample, "python")
    assert 120 < sample.rate < 280  # as often as asked, by chance


@pytest.mark.parametrize("rate", [0, 50])
@pytest.mark.parametrize("keeps", [True, False], ids=["keeps connections", "closes connections"])
def test_failed_requests_are_noticed(
    other: Any, rate: float, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generators, "tool", lambda grpc: "python")
    other.status, other.keeps = 500, keeps
    with pytest.raises(RuntimeError, match=r"every request failed: \{'status 500"):
        send(ECHO, other.target.port, 0.2, rate)


@pytest.mark.parametrize(("program", "point"), [("wrk", ECHO), ("h2load", GRPC)])
def test_compiled_clients_count_errors(bare: Server, program: str, point: Point) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    bad = replace(point, requests=(replace(point.requests[0], body=b"{"),))
    assert send(bad, port_of(bare, point), 1).errors > 0


def test_a_client_that_reaches_nobody_fails_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators, "tool", lambda grpc: "python")
    with pytest.raises(RuntimeError, match="failed"):
        send(ECHO, 1, 0.1)


@pytest.mark.parametrize("point", [ECHO, BINARY, GRPC], ids=["JSON", "binary", "gRPC"])
def test_equal_answers_pass(bare: Server, point: Point) -> None:
    answers = Answers()
    answers.check(bare.target, point.requests, "")
    answers.check(bare.target, point.requests, "")
    ((name, array),) = ask(bare.target, point.requests[0]).items()
    assert (name, array.shape[0]) == ("x", 1)


def output(data: list[float], name: str = "x", shape: tuple[int, ...] = (1, 4)) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": shape, "data": data}


@pytest.fixture
def other() -> Iterator[Any]:
    """A server that answers what its `says` holds, with `status`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = orjson.dumps({"outputs": found.says})
            self.send_response(found.status)
            self.send_header("content-length", str(len(body)))
            self.send_header("connection", "keep-alive" if found.keeps else "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not to standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found = SimpleNamespace(
            status=200,
            keeps=True,
            says=[],
            target=Target("other", f"http://127.0.0.1:{server.server_address[1]}"),
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ([output([1.5, -2.25, 3.125, 4.1])], "differ in 'x'"),
        ([output([1.5, -2.25, 3.125, float("nan")])], "differ in 'x'"),
        ([output([1.5, -2.25, 3.125, 4.0], shape=(4,))], r"'x' has the shapes \[1, 4\] and \[4\]"),
        (
            [output([1.5, -2.25, 3.125, 4.0], name="y")],
            r"bare and other .*: the outputs are \['x'\] and \['y'\]",
        ),
        ([output([1.5, -2.25, 3.125, 4.0]), output([1, 2, 3, 4], name="y")], "the outputs are"),
        ([], "the outputs are"),
    ],
)
def test_a_different_answer_is_noticed(bare: Server, other: Any, says: list[Any], error: str) -> None:
    answers = Answers()
    answers.check(bare.target, ECHO.requests, "echo")
    other.says = [output([1.5, -2.25, 3.125, 4.0001])]
    answers.check(other.target, ECHO.requests, "echo")  # but for rounding, the same
    other.says = says
    with pytest.raises(Different, match=error):
        answers.check(other.target, ECHO.requests, "echo")


def test_an_error_is_a_refusal(bare: Server, other: Any) -> None:
    other.status = 415
    with pytest.raises(Refused, match=r'415 \{"outputs"'):
        Answers().check(other.target, ECHO.requests, "echo")
    with pytest.raises(Refused):
        ask(bare.target, replace(GRPC.requests[0], body=b"{"))
