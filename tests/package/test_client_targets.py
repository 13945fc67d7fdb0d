"""The load generator's targets: hosts, tokens, TLS, and how they are written."""

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from loadtests.client.job import Job
from loadtests.client.run import run
from loadtests.client.target import Target, TargetError
from tests.package.answering import answer, jobs, serving

pytestmark = pytest.mark.live  # none of ours, but it runs beside others


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    return jobs(tmp_path)


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
