from collections.abc import Iterator

import grpc
import httpx
import pytest

from tests.server import Server

CHANNEL = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    """Plain HTTP, without any client's help."""
    with server.http() as client:
        yield client


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[grpc.Channel]:
    """A bare gRPC channel: bytes in, bytes out."""
    with grpc.insecure_channel(server.grpc, options=CHANNEL) as channel:
        yield channel
