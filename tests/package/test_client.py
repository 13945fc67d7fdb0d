"""The load generator: targets, loops, what it counts, and what it makes of servers that fail."""

import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from loadtests.bench import servers
from loadtests.bench.points import BARE, Point
from loadtests.client.job import Job
from loadtests.client.run import ClientError, run
from loadtests.client.target import Target, TargetError
from loadtests.requests import binary_request, echo
from serve_app.ports import free_port
from serve_app.protocol import client

pytestmark = pytest.mark.live  # times are measured here: the machine has to be its own
Answering = Callable[[BaseHTTPRequestHandler, bytes], None]


def answer(handler: BaseHTTPRequestHandler, body: bytes = b"{}", status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(answers: Answering, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A small HTTP server; yields host:port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            answers(self, self.rfile.read(int(self.headers["content-length"])))

        def log_message(self, *_: object) -> None:
            """Not to standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """A job for a target; requests are small bodies unless told otherwise."""

    def make(target: Target, **options: object) -> Job:
        given = {"grpc": False, "connections": 2, "seconds": 0.5, "warm_up": 0.2, **options}
        if "requests" not in given:
            files = []
            for index in range(3):
                file = tmp_path / str(index)
                file.write_bytes(b"request %d" % index)
                files.append(("/path", {"X-Turn": str(index)}, str(file)))
            given["requests"] = files
        return Job(target=target, **given)  # type: ignore[arg-type]

    return make


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
    assert (outcome.sent - outcome.due).max() < 0.05
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
    """One connection, 100 ms an answer, a request every 50 ms: the tenth waits nine times 50 ms."""

    def slow(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        time.sleep(0.1)
        answer(handler)

    schedule = [0.05 * at for at in range(10)]
    with serving(slow) as address:
        outcome = run(job(Target("slow", f"http://{address}"), schedule=schedule, connections=1))
    assert outcome.latencies == pytest.approx([0.1 + 0.05 * at for at in range(10)], abs=0.09)
    assert outcome.late.max() < 0.05


def test_requests_go_out_in_turn_with_host_token_and_headers(job, monkeypatch) -> None:
    seen = []

    def note(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append((handler.path, {**handler.headers}, body))
        answer(handler)

    monkeypatch.setenv("A_TOKEN", "s3cret")
    with serving(note) as address:
        target = Target.parse(f"it=http://{address}/base/,host=m.example.com,token-env=A_TOKEN")
        run(job(target, schedule=[0, 0.02, 0.04, 0.06], connections=1))
    assert [body for _, _, body in seen] == [b"request 0", b"request 1", b"request 2", b"request 0"]
    path, headers, _ = seen[1]
    assert path == "/base/path"
    assert headers["Host"] == "m.example.com"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["X-Turn"] == "1"
    assert "s3cret" not in repr(target) + str(target.record())


def test_chunked_answers_and_closed_connections(job) -> None:
    def chunked(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")

    with serving(chunked) as address:
        outcome = run(job(Target("chunked", f"http://{address}"), keep_every=1))
    assert len(outcome.due) > 5
    assert not outcome.failed.any()
    assert set(outcome.kept.values()) == {b"abcdef"}


def test_errors_are_counted_by_kind(job) -> None:
    def every_third(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        answer(handler, status=503 if body == b"request 1" else 200)

    with serving(every_third) as address:
        outcome = run(job(Target("some", f"http://{address}"), schedule=[0.01 * at for at in range(30)]))
    assert outcome.errors == {"status 503": 10}
    assert outcome.failed.sum() == 10
    assert np.isinf(outcome.latencies).sum() == 10


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


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "both.pem").write_bytes(key.private_bytes(pem, private, plain) + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context, folder / "cert.pem"


def test_tls_is_checked(job, tmp_path: Path) -> None:
    context, ca = certificate(tmp_path, "m.example.com")
    with serving(lambda handler, body: answer(handler), context) as address:
        for options, good in (
            (f",ca={ca}", True),
            (f",ca={ca},host=m.example.com", True),
            (f",ca={ca},host=other.example.com", False),
            ("", False),
        ):
            target = Target.parse(f"tls=https://{address}{options}")
            outcome = run(job(target, schedule=[0, 0.05], connections=1))
            assert outcome.failed.any() != good, options


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://x", "a target is name=URL"),
        ("a=ftp://x", "target 'a': expected an http:// or https:// URL, got 'ftp://x'"),
        ("a=http://", "expected an http:// or https:// URL"),
        (
            "a=http://x,grcp=x:1",
            "'grcp=x:1' is none of grpc=, host=, token-env=, ca=, did you mean 'grpc='?",
        ),
        ("a=http://x,grpc=x", "grpc must be host:port, got 'x'"),
        ("a=http://x,token-env=NO_SUCH", "the environment has no NO_SUCH"),
    ],
)
def test_wrong_targets_are_explained(text: str, problem: str) -> None:
    with pytest.raises(TargetError) as caught:
        Target.parse(text)
    assert problem in str(caught.value)


def test_ports_of_targets() -> None:
    assert Target("a", "http://x").port == 80
    assert Target("a", "https://x").port == 443
    assert Target("a", "http://x:81").port == 81
