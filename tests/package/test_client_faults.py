"""What the load generator makes of servers that fail, hang, die or aren't there."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from loadtests.client.job import Job
from loadtests.client.loops import kinds
from loadtests.client.run import ClientError, run
from loadtests.client.target import Target
from serve_app.ports import free_port
from tests.package.answering import answer, jobs, serving

pytestmark = pytest.mark.live  # none of ours, but it runs beside others


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    return jobs(tmp_path)


def test_errors_are_counted_by_kind(job) -> None:
    def every_third(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        bad = body == b"request 1"
        answer(handler, b"no\n room" if bad else b"{}", status=503 if bad else 200)

    with serving(every_third) as address:
        outcome = run(job(Target("some", f"http://{address}"), schedule=[0.01 * at for at in range(30)]))
    assert outcome.errors == {"status 503: no room": 10}
    assert outcome.failed.sum() == 10
    assert np.isinf(outcome.latencies).sum() == 10


def test_what_servers_say_makes_no_kind_of_each_error() -> None:
    said = [f"status 503: request {number} failed" for number in range(1000)]
    found = kinds([*said, "status 500", *said])
    assert len(found) == 22
    assert found["status 503: request 7 failed"] == 2
    assert (found["status 503"], found["status 500"]) == (2 * 980, 1)


def test_what_never_answers_has_failed_and_nothing_hangs(job) -> None:
    stop = threading.Event()
    with serving(lambda handler, body: stop.wait()) as address:  # type: ignore[arg-type, return-value]
        target = Target("mute", f"http://{address}")
        outcome = run(job(target, schedule=[0, 0.01, 0.02], connections=2, patience=0.3))
        stop.set()
    assert outcome.errors == {"no answer in time": 2, "no connection was free in time": 1}
    assert outcome.failed.all()


def test_a_closed_loop_ends_though_nothing_answers(job) -> None:
    stop = threading.Event()
    with serving(lambda handler, body: stop.wait()) as address:  # type: ignore[arg-type, return-value]
        outcome = run(job(Target("mute", f"http://{address}"), warm_up=0, patience=0.3))
        stop.set()
    assert outcome.errors == {"no answer in time": 2}


def test_errors_of_the_warm_up_are_not_counted(job) -> None:
    seen: set[bytes] = set()

    def gets_well(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        answer(handler, status=200 if body in seen else 503)
        seen.add(body)

    with serving(gets_well) as address:
        schedule = [-0.2, -0.15, -0.1, 0, 0.05, 0.1]  # the first of each body is refused
        outcome = run(job(Target("it", f"http://{address}"), schedule=schedule, connections=1))
    assert not outcome.failed.any()
    assert outcome.errors == {}
    assert len(outcome.due) == 3


@pytest.mark.parametrize("grpc", [False, True], ids=["HTTP", "gRPC"])
def test_nobody_there(job, grpc: bool) -> None:
    address = f"127.0.0.1:{free_port()}"
    outcome = run(job(Target("gone", f"http://{address}", address), schedule=[0, 0.01], grpc=grpc))
    assert outcome.failed.tolist() == [True, True]
    assert all(error.startswith(("connection: ", "UNAVAILABLE: ")) for error in outcome.errors)


def test_a_server_that_dies_is_counted_and_asked_again(job) -> None:
    """Three answers, then it hangs up without one; the connection is made anew."""
    asked = []

    def mortal(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.append(body)
        if len(asked) == 4:
            handler.close_connection = True
        else:
            answer(handler)

    schedule = [0.05 * at for at in range(8)]
    with serving(mortal) as address:
        outcome = run(job(Target("it", f"http://{address}"), schedule=schedule, connections=1))
    assert outcome.failed.sum() == 1
    assert list(outcome.errors) == ["connection: the server closed the connection"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"requests": [("/", {}, "/nowhere")]}, "No such file"),
        ({"grpc": True}, "target 'x' has no grpc=host:port"),
    ],
)
def test_a_client_that_fails_says_why(job, options: dict[str, object], problem: str) -> None:
    with pytest.raises(ClientError, match=problem):
        run(job(Target("x", "http://127.0.0.1:1"), **options))
