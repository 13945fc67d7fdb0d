"""gRPC as clients have it: grpc.aio, one channel per connection, encoded messages."""

from pathlib import Path
from typing import Any

import grpc.aio

from loadtests.client.target import Target


class Sender:
    """One channel; as many calls in flight as it is asked for."""

    def __init__(self, target: Target, path: str, messages: list[bytes]) -> None:
        self._messages = messages
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),  # or all channels would share one connection
        ]
        if target.host:
            options.append(("grpc.default_authority", target.host))
        if target.secure:
            root = Path(target.ca).read_bytes() if target.ca else None
            credentials = grpc.ssl_channel_credentials(root)
            self._channel = grpc.aio.secure_channel(target.grpc, credentials, options)
        else:
            self._channel = grpc.aio.insecure_channel(target.grpc, options)
        self._call = self._channel.unary_unary(path)
        self._metadata = [("authorization", f"Bearer {target.token}")] if target.token else None

    async def connect(self) -> None:
        """Wait until it is there."""
        await self._channel.channel_ready()

    async def __call__(self, turn: int) -> tuple[str, bytes]:
        """What went wrong ('' if nothing), and the answer."""
        try:
            return "", await self._call(
                self._messages[turn % len(self._messages)], metadata=self._metadata
            )
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}", b""

    async def close(self) -> None:
        await self._channel.close()
