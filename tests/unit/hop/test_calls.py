"""Connections to replicas."""

import asyncio
import os
import socket
import sys

import pytest

from serve_app.hop.calls import Connection
from tests.unit.loops import LOOPS

__all__ = ["LOOPS"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have not all of the options")
async def test_a_connection_notices_that_its_peer_is_gone() -> None:
    """Not by waiting for it: by what the kernel was told."""
    loop = asyncio.get_running_loop()
    peer: asyncio.Future[asyncio.StreamWriter] = loop.create_future()
    server = await asyncio.start_server(lambda _, writer: peer.set_result(writer), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        transport, connection = await loop.create_connection(Connection, host, port)
        number = os.dup(transport.get_extra_info("socket").fileno())
        with socket.socket(fileno=number) as same:
            assert same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            idle, pause, count = (same.getsockopt(socket.IPPROTO_TCP, option) for option in options)
            assert idle + pause * count <= 30
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
        assert connection.open
        connection.close()
        await asyncio.sleep(0)
        assert not connection.open
        writer = await asyncio.wait_for(peer, 10)
        writer.close()
        await writer.wait_closed()
