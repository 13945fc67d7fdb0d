"""An LLM's replica hands requests straight to vLLM's own application.

What comes out of it goes to the Router as it is, and from there to the client.
"""

from typing import Any, Protocol

from serve_app.hop.served import LEFT, Served
from serve_app.hop.streams import ADAPTER, PREFIX
from serve_app.http.asgi import Message, Receive, Scope, Send
from serve_app.internals.serve_context import set_multiplexed_model
from serve_app.internals.serve_replica import ServeReplica


class Engine(Protocol):
    """A deployment with an engine's ASGI application."""

    app: Any

    def alive(self) -> bool:
        """Whether the engine can answer."""
        ...


class RelayApp(Served):
    """Takes the paths below PREFIX, no other."""

    def __init__(self, serve: Any, replica: ServeReplica, engine: Engine) -> None:
        super().__init__(serve, replica, "engine")
        self._engine = engine

    def takes(self, path: str) -> bool:
        return path.startswith(PREFIX)

    def ready(self) -> bool:
        """Not with a dead engine."""
        return self._engine.alive()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        status = LEFT

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        adapter = next((value for name, value in scope["headers"] if name == ADAPTER), b"")
        if adapter:  # what Ray's middleware in the application looks at
            set_multiplexed_model(adapter.decode())
        path = scope["path"].removeprefix(PREFIX)
        await self._engine.app({**scope, "path": path, "raw_path": path.encode()}, receive, noted)
        return status
