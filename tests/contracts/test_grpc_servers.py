"""grpc's servers, as `fence` changes them: for good, so each test has a process of its own."""

import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import grpc
import pytest
from grpc import _server
from grpc.aio import _server as aio_server

from serve_app.internals.grpc_servers import GRPC_ADDRESS
from serve_app.ports import free_port

ROOT = Path(__file__).parents[2]


def test_names_and_what_they_take():
    """`fence` finds the options by their name, and stands in for a method of one argument."""
    assert "options" in inspect.signature(aio_server.Server.__init__).parameters
    for kind in (aio_server.Server, _server._Server):
        assert list(inspect.signature(kind.add_insecure_port).parameters) == ["self", "address"]


def test_servers_are_of_these_kinds():
    server = grpc.server(None)
    assert type(server) is _server._Server


async def test_aio_servers_are_of_these_kinds():
    assert type(grpc.aio.server()) is aio_server.Server


def test_registered_method_handlers():
    """What reflection and a service of bytes are registered with."""
    for kind in (aio_server.Server, _server._Server):
        inspect.signature(kind.add_registered_method_handlers).bind(object(), "a.Service", {})
        inspect.signature(kind.add_generic_rpc_handlers).bind(object(), ())


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


def test_the_services_own_port_is_heard_where_it_was_asked_for():
    """The rest stays at 127.0.0.1, where Serve's processes look for each other."""
    script, port = textwrap.dedent(SERVERS).replace("servers.append((grpc.server", "#"), free_port()
    for host in ("127.0.0.2", "[::1]"):
        env = os.environ | {"PYTHONPATH": str(ROOT), GRPC_ADDRESS: f"{host}:{port}"}
        done = subprocess.run(
            [sys.executable, "-c", script, f'["[::]:{port}", "[::]:0"]'],
            capture_output=True, text=True, cwd=ROOT, env=env, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        ips = [ip.removeprefix("::ffff:") for ip in json.loads(done.stdout)]
        assert ips == [host.strip("[]"), "127.0.0.1"]


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


LIMITED = """
    import asyncio, sys
    import grpc
    from ray.serve._private.grpc_util import gRPCGenericServer

    from serve_app.internals.grpc_servers import limit_received

    limit_received(1000)

    async def main():
        server = gRPCGenericServer(lambda *_, **__: None, extra_options=[("grpc.so_reuseport", "0")])

        async def answer(request, context):
            return bytes(5000)

        async def answers(requests, context):
            async for request in requests:
                yield bytes(5000)

        handlers = {
            "One": grpc.unary_unary_rpc_method_handler(answer),
            "Many": grpc.stream_stream_rpc_method_handler(answers),
        }
        server.add_passthrough_service("a.B")
        generic = grpc.method_handlers_generic_handler("a.B", handlers)
        generic._method_handlers = {f"/a.B/{name}": one for name, one in handlers.items()}
        server.add_generic_rpc_handlers((generic,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for size, packed in ((1000, None), (1001, None), (1000, "gzip"), (10**6, "gzip")):
                code = grpc.Compression.Gzip if packed else None
                for name in ("One", "Many"):
                    try:
                        if name == "One":
                            got = await channel.unary_unary("/a.B/One")(bytes(size), compression=code)
                        else:
                            many = channel.stream_stream("/a.B/Many")
                            call = many(iter([bytes(size)]), compression=code)
                            got = await call.read()
                        print(len(got))
                    except grpc.RpcError as error:
                        print(error.code().name)
        await server.stop(0)

    asyncio.run(main())
"""


def test_a_message_that_unpacks_too_large_is_refused_on_every_method():
    """In Serve's own server, whose options are `limit_received`'s to change before it is made."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED)],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )  # fmt: skip
    refused = ["RESOURCE_EXHAUSTED"] * 2
    assert done.stdout.split() == ["5000"] * 2 + refused + ["5000"] * 2 + refused, done.stderr


@pytest.mark.parametrize(("how", "found"), [("fence", "alone"), ("plain", "shared")])
def test_a_port_of_a_replica_is_its_own(how: str, found: str) -> None:
    """Without the fence two replicas, each with a port of its node's list, share it on one machine."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARING), how],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )  # fmt: skip
    assert done.stdout.strip() == found, done.stderr
