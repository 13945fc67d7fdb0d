"""The benchmark: its points, its load generators against the bare server, its checks and figures."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from loadtests import hosted
from loadtests.answers import Answers, Different, Refused, ask
from loadtests.bench import generators, report
from loadtests.bench.generators import Sample, send
from loadtests.bench.points import BARE, CASES, Point, chosen
from loadtests.bench.report import TARGETS, Ratio
from loadtests.bench.servers import CONFIG, SERVERS, serving, with_models
from loadtests.bench.session import Results, alone
from loadtests.client.target import Target
from loadtests.requests import binary_request, digits, echo
from loadtests.servers import Server
from serve_app.protocol import grpc_codec, rest_codec

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


def test_every_case_builds_and_keys_are_unique() -> None:
    for case in CASES:
        assert any(point.case == case for point in chosen(case))
    keys = [point.key for point in chosen("all")]
    assert len(keys) == len(set(keys))
    assert set(TARGETS) <= {point.key for point in chosen("table")}
    assert {p.key for p in chosen("table,curves")} == set(keys)
    with pytest.raises(SystemExit, match="no case nothing; there are echo-http"):
        chosen("echo-http,nothing")


def test_every_request_is_valid_v2() -> None:
    for request in dict.fromkeys(request for point in chosen("all") for request in point.requests):
        if request.grpc:
            decoded, _ = grpc_codec.decode_request(request.body)
        else:
            decoded = rest_codec.decode_request(request.body, request.json_length, request.model, "")
        assert decoded.model == request.model
        assert len(decoded.inputs) == 1


def test_points_fit_their_generators() -> None:
    points = {point.key: point for point in chosen("all")}
    for at, point in enumerate(points.values()):
        assert len({request.grpc for request in point.requests}) == 1
        assert len(point.requests) == 1 or not point.grpc  # h2load sends one message
        assert bool(point.load) == bool(point.capacity)
        if point.capacity:
            assert list(points).index(point.capacity) < at
            assert points[point.capacity].requests == point.requests
    assert all(request.body.count(b"pixels") == 1 for request in digits(3))


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
    with pytest.raises(RuntimeError, match=r"every request failed: \{'status 500': "):
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


def test_ratio() -> None:
    ratio = Ratio([2, 12, 9], [1, 4, 9])
    assert (ratio.median, ratio.least, ratio.most) == (2, 1, 3)
    assert str(ratio) == "2.00x (1.00-3.00)"
    assert str(Ratio([1, 4], [2, 2, 9])) == "1.25x (0.50-2.00)"  # only rounds that both had


def results(*keys: str, **figures: list[tuple[float, float]]) -> Results:
    """Samples of (rate, p50 in seconds) by server, the same at each point."""
    found = Results([point for point in chosen("all") if point.key in keys])
    for point in found.points:
        for server, rounds in figures.items():
            for rate, p50 in rounds:
                sample = Sample(rate, p50, 2 * p50, 0, "wrk", 0.5, server_cpu=1.5, memory=2**20)
                found.add(point, server.replace("_", "-"), sample)
    return found


RATE, LATENCY = "echo-http: 32 connections", "echo-http: 1 connections"


def row(found: Results, key: str) -> list[str]:
    (line,) = [line for line in report.ratios(found).splitlines() if line.startswith(f"| {key} ")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_better_peer_is_the_better_one_by_the_points_figure() -> None:
    """Here the tuned peers have more requests per second, and longer latencies."""
    found = results(
        RATE, LATENCY,
        tandem=[(1000, 0.002), (900, 0.002)],
        kserve=[(100, 0.001), (100, 0.002)], kserve_tuned=[(200, 0.004), (180, 0.004)],
        mlserver_tuned=[(500, 0.004), (450, 0.004)],
    )  # fmt: skip
    assert row(found, RATE) == [
        "per second", "950", "5.00x (5.00-5.00) kserve-tuned", "2.00x (2.00-2.00) mlserver-tuned",
        "", ">= 2.0x, >= 0.3x of the limit",
    ]  # fmt: skip
    assert row(found, LATENCY) == [
        "p50, ms", "2.00", "1.50x (1.00-2.00) kserve", "0.50x (0.50-0.50) mlserver-tuned",
        "", "<= 0.75x",
    ]  # fmt: skip


def test_the_limit() -> None:
    found = results(
        RATE, "digits: 32 connections", "sentences: 32 connections", "mixed: 32 connections",
        tandem=[(90, 0.1), (100, 0.1)],
    )  # fmt: skip
    callers = {"32 callers": 999}  # no batch size, so not the limit
    found.limits = {
        "sentences": [
            {"1": 50, "32": 180, "64": 90, **callers},
            {"1": 60, "32": 125, "64": 130, **callers},
        ]
    }
    assert row(found, "sentences: 32 connections")[4] == "0.65x (0.50-0.80)"
    assert row(found, "digits: 32 connections")[4] == ""
    assert row(found, "mixed: 32 connections")[4] == ""
    assert row(found, RATE)[4] == ""
    for rate in (300, 200):
        sample = Sample(rate, 0.1, 0.1, 0, "wrk", 0.5)
        found.add(next(point for point in found.points if point.key == RATE), BARE, sample)
    assert row(found, RATE)[4] == "0.40x (0.30-0.50)"


def test_points_without_our_figures_have_no_row() -> None:
    assert RATE not in report.ratios(results(RATE, kserve=[(1, 1)]))


def test_refusals_and_all_figures_are_shown(tmp_path: Any) -> None:
    found = results(RATE, tandem=[(1000, 0.002), (900, 0.003)])
    found.refused = {RATE: {"mlserver": "  415 no binary data"}}
    found.limits = {"digits": [{"1": 10.0, "8": 20.0}]}
    text = report.details(found)
    assert "950.0/s (900-1000)  p50 2.50  p99 5.00 ms  CPU 1.50  1 MiB  wrk 0.50" in text
    assert "  mlserver       can't: 415 no binary data" in text
    assert "digits in process, rows/s by batch size: 1: 10, 8: 20" in text
    found.save(tmp_path / "made" / "bench.json", {"cores": 2})
    saved = orjson.loads((tmp_path / "made" / "bench.json").read_bytes())
    assert saved["about"] == {"cores": 2}
    assert [sample["rate"] for sample in saved["samples"][RATE]["tandem"]] == [1000, 900]
    assert saved["refused"] == found.refused


@pytest.mark.parametrize(
    ("models", "count", "served"),
    [
        (["identity"], 1, ["identity"]),
        (["digits", "sentences"], 1, ["digits", "sentences"]),
        (["identity-remote"], 1, ["identity-remote"]),
        (["identity", "identity-1", "identity-2"], 3, ["identity", "identity-1", "identity-2"]),
        (["digits", "identity", "identity-remote", "sentences"], 1,
         ["identity", "digits", "sentences", "identity-remote"]),
    ],
)  # fmt: skip
def test_servers_serve_what_is_measured(models: list[str], count: int, served: list[str]) -> None:
    config = with_models(models, count)
    assert config["applications"][0]["name"] == "tandem"
    assert [model.name for model in hosted.configs(config)] == served


def test_every_model_of_the_cases_is_there() -> None:
    for point in chosen("all"):
        config = with_models(sorted(point.models), point.copies)
        assert {model.name for model in hosted.configs(config)} == point.models


def test_servers_and_their_config() -> None:
    assert CONFIG.exists()
    assert report.US in SERVERS
    assert BARE in SERVERS


def test_a_model_alone_gives_its_rate_by_batch_size_and_with_callers() -> None:
    rates = alone("digits", 0.1)
    assert set(rates) == {"1", "8", "16", "32", "64", "32 callers"}
    assert all(rate > 0 for rate in rates.values())
