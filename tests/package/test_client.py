"""The load generator's loops: what is sent when, and what is counted."""

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from loadtests.bench import servers
from loadtests.bench.points import BARE, Point
from loadtests.client.job import Job
from loadtests.client.run import run
from loadtests.client.target import Target
from loadtests.requests import binary_request, echo
from serve_app.protocol import client
from tests.package.answering import answer, jobs, serving

pytestmark = [pytest.mark.live, pytest.mark.alone]  # times are measured here


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    return jobs(tmp_path)


@pytest.fixture(scope="module")
def bare() -> Iterator[Target]:
    small = (binary_request("identity", 16, grpc=True),)
    with servers.serving(BARE, [Point("echo", "", (echo(),), 1), Point("grpc", "", small, 1)]) as server:
        yield Target("bare", f"http://127.0.0.1:{server.http_port}", f"127.0.0.1:{server.grpc_port}")


@pytest.fixture
def requests(tmp_path: Path) -> dict[bool, list[tuple[str, dict[str, str], str]]]:
    """Encoded V2 requests, by whether they are for gRPC."""
    found = {}
    for grpc, request in ((False, echo()), (True, binary_request("identity", 16, grpc=True))):
        file = tmp_path / f"body-{grpc}"
        file.write_bytes(request.body)
        path = client.GRPC_PATH if grpc else request.path
        found[grpc] = [(path, {} if grpc else request.headers, str(file))]
    return found


@pytest.mark.parametrize("grpc", [False, True], ids=["HTTP", "gRPC"])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_closed_loop(bare, job, requests, grpc: bool, processes: int) -> None:
    options = {"requests": requests[grpc], "grpc": grpc, "streams": 2 if grpc else 1, "keep_every": 10}
    outcome = run(job(bare, **options), processes)
    assert len(outcome.due) > 20
    assert not outcome.failed.any()
    assert not outcome.errors
    assert np.median(outcome.sent - outcome.due) < 0.05
    assert (outcome.latencies > 0).all()
    assert 0 <= outcome.due.min() < outcome.due.max() < 0.5
    assert outcome.cpu > 0
    assert len(outcome.kept) > 2
    assert len(set(outcome.kept.values())) == 1 if grpc else all(outcome.kept.values())


@pytest.mark.parametrize("grpc", [False, True], ids=["HTTP", "gRPC"])
@pytest.mark.parametrize("processes", [1, 2])
def test_an_open_loop(bare, job, requests, grpc: bool, processes: int) -> None:
    schedule = np.linspace(-0.2, 0.5, 71).tolist()
    options = {"requests": requests[grpc], "grpc": grpc, "schedule": schedule, "connections": 4}
    outcome = run(job(bare, **options), processes)
    assert np.sort(outcome.due) == pytest.approx([at for at in schedule if at >= 0], abs=1e-6)
    assert not outcome.failed.any()
    assert (outcome.sent >= outcome.due - 0.002).all()
    assert len(outcome.late) == 71


def test_latencies_count_from_when_requests_were_due(job) -> None:
    """One connection, 100 ms an answer, a request every 50 ms: the tenth waits nine times 50 ms.

    At least: a busy machine adds to that.
    """

    def slow(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        time.sleep(0.1)
        answer(handler)

    schedule = [0.05 * at for at in range(10)]
    with serving(slow) as address:
        outcome = run(job(Target("slow", f"http://{address}"), schedule=schedule, connections=1))
    assert (outcome.latencies >= [0.1 + 0.05 * at - 0.005 for at in range(10)]).all()


def test_chunked_answers_and_closed_connections(job) -> None:
    def chunked(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")

    with serving(chunked) as address:
        outcome = run(job(Target("chunked", f"http://{address}"), keep_every=1))
    assert len(outcome.due) > 1
    assert not outcome.failed.any()
    assert set(outcome.kept.values()) == {b"abcdef"}
