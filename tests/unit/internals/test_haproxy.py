"""What the wrapper does to lines that Serve's own configuration, in tests/contracts, doesn't have."""

import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import free_port

ASKED = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.ingress.fast_path:middlewares"}
RULE = (
    "    use_backend http-tandem if { path /inference.GRPCInferenceService/ModelInfer }"
    " !{ req.hdr(application) -m found }"
)


def edited(folder: Path, config: str) -> list[str]:
    """The lines that the wrapper leaves HAProxy, which finds them valid."""
    file, wrapper = folder / "haproxy.cfg", haproxy_wrapper(folder)
    file.write_text(config)
    done = subprocess.run(
        [str(wrapper), "-c", "-f", str(file)],
        env=os.environ | ASKED, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return file.read_text().splitlines()


def test_only_whole_directives_are_narrowed(tmp_path):
    a, b, c, d = [free_port() for _ in range(4)]
    config = textwrap.dedent(f"""\
        defaults
            mode http
            timeout connect 5s
            timeout client 5s
            timeout server 5s
        frontend stats
            bind *:{a}
            stats enable
        frontend metrics
          bind :{b}
            http-request return status 200
        frontend http
            bind 127.0.0.1:{c}
            http-request return status 200 content-type "text/plain" string "bind *:1"
        frontend other
            bind 127.0.0.2:{d}
            http-request return status 200
        """)
    lines = edited(tmp_path, config)
    binds = [line.split() for line in lines if line.strip().startswith("bind")]
    assert binds == [["bind", f"127.0.0.1:{a}"], ["bind", f"127.0.0.1:{b}"], ["bind", f"127.0.0.1:{c}"],
                     ["bind", f"127.0.0.2:{d}"]]  # fmt: skip
    assert any('string "bind *:1"' in line for line in lines)


def grpc_config(default: str, *backends: str) -> str:
    """A frontend, then its backends."""
    lines = [
        "defaults", "    mode http", "    timeout connect 5s", "    timeout client 5s",
        "    timeout server 5s", "frontend grpc_frontend", f"    bind 127.0.0.1:{free_port()} proto h2",
        "    http-request set-header x-client-address %[src]",
        r'    http-request return content-type a/b lf-string "\'%[path]\' & \\n" if { path /n }',
        f"    default_backend {default}", "",
    ]  # fmt: skip
    for backend in backends:
        lines += [f"backend {backend}", "    server s 127.0.0.1:1"]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize(
    "backends",
    [("http-tandem", "grpc-tandem"), ("grpc-tandem", "http-other", "http-tandem")],
    ids=["before", "behind"],
)
def test_backends_may_stand_in_any_order(tmp_path, backends):
    config = grpc_config("grpc-tandem", *backends)
    lines = edited(tmp_path, config)
    added = lines.index(RULE)
    assert lines[added - 1] == "    default_backend grpc-tandem"
    assert lines[:added] + lines[added + 1 :] == config.splitlines()


@pytest.mark.parametrize(
    ("default", "backends"),
    [
        ("grpc-tandem", ("grpc-tandem", "http-other", "http-tandem-2")),
        ("default_grpc_backend", ("default_grpc_backend", "http-tandem", "grpc-tandem")),
        ("http-tandem", ("http-tandem",)),
    ],
    ids=["no such backend", "no application", "plain http"],
)
def test_other_defaults_stay(tmp_path, default, backends):
    config = grpc_config(default, *backends)
    assert edited(tmp_path, config) == config.splitlines()
