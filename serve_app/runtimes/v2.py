"""Another V2 server's model (KServe, Triton, MLServer, another Tandem), passed on to over HTTP or gRPC.

It holds requests against nothing: the other server does. What it says of its model is asked for once,
and whether that is ready every few seconds: while it isn't, requests are refused with its reason.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from serve_app.config import ModelConfig, V2Options
from serve_app.core import tables
from serve_app.core.deadlines import left
from serve_app.errors import ModelFailed, Unavailable
from serve_app.protocol import client
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.reserved import OUTPUTS, TENSORS
from serve_app.protocol.tensors import Arrays, InferRequest, Parameters, RequestedOutput, TensorSpec
from serve_app.repository.reasons import Later
from serve_app.runtimes.base import declared
from serve_app.runtimes.v2_grpc import GrpcPeer
from serve_app.runtimes.v2_http import HttpPeer
from serve_app.runtimes.v2_peer import LOOK_S, Asked, Lost, Peer

log = logging.getLogger("tandem")

_OURS = (OUTPUTS, TENSORS)
_BETWEEN_S = 0.05  # before a request goes to the other server once more


class V2Runtime:
    """One model of one server."""

    def __init__(self, config: ModelConfig, folder: Path | None, gpu: bool = False) -> None:
        self._config = config
        self._options = options = V2Options.model_validate(config.options)
        self._asked = Asked(options.model or config.name or "", options.version)
        kind: Callable[[V2Options, Asked], Peer]
        kind = GrpcPeer if options.address.startswith("grpc") else HttpPeer
        self._peer = kind(options, self._asked)
        self._about = VersionDescription([], [], passes=True)
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None
        self.trouble = ""
        self.streams = False  # whether its model answers in pieces

    def load(self) -> None:
        """Wait until the other server has the model ready, and ask what it takes."""
        until = time.monotonic() + self._options.wait
        while reason := self._peer.why_not():
            if time.monotonic() >= until or self._closed.wait(min(1.0, self._options.interval)):
                raise Later(f"{self._options.address}: {reason}")
        said, theirs = declared(self._config), self._peer.about()
        self.streams = self._peer.in_pieces()
        self._about.inputs = said.inputs or theirs.inputs
        self._about.outputs = said.outputs or [
            TensorSpec(one.name, one.datatype, one.shape, optional=True) for one in theirs.outputs
        ]

    def watch(self, tell: Callable[[], None]) -> None:
        """Look every few seconds whether it is ready, and `tell`, in a thread, when that changes."""
        self._watcher = threading.Thread(target=self._watch, args=(tell,), name="v2-ready", daemon=True)
        self._watcher.start()

    def _watch(self, tell: Callable[[], None]) -> None:
        while not self._closed.wait(self._options.interval):
            try:
                reason = self._peer.why_not()
            except Exception as error:  # whatever it answered: who looks goes on
                reason = f"it can't be asked: {error}"
            if self._closed.is_set():
                return
            found = f"the server at {self._options.address}: {reason}" if reason else ""
            if bool(found) != bool(self.trouble):
                log.warning("model %s: %s", self._config.name, found or "its server is ready again")
                self.trouble = found
                tell()
            self.trouble = found

    def warm_up(self, inputs: Arrays) -> None:
        """The other server does that."""

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One request; once more where its connection broke, or the server was busy or starting."""
        request = self._request(inputs, parameters)
        # A sequence has a state there: what was lost may have been counted.
        for _ in range(0 if request.parameters.get("sequence_id") else self._options.retries):
            try:
                return await self._once(request)
            except Lost:
                await asyncio.sleep(_BETWEEN_S)
        try:
            return await self._once(request)
        except Lost as error:
            raise Unavailable(f"the server of model '{self._config.name}' {error}") from None

    async def stream(
        self, inputs: Arrays, parameters: Parameters
    ) -> AsyncGenerator[tuple[Arrays, bool], None]:
        """One request of a model that answers in pieces. It is sent once."""
        request, any_piece = self._request(inputs, parameters), False
        try:
            async with aclosing(self._peer.stream(request)) as pieces:
                async for answer, final in pieces:
                    any_piece = any_piece or bool(answer.outputs)
                    # The end may be said without outputs, to those who ask for it so.
                    if answer.outputs or (final and not any_piece):
                        yield answer.arrays, final
        except Lost as error:
            raise Unavailable(f"the server of model '{self._config.name}' {error}") from None

    def _request(self, inputs: Arrays, parameters: Parameters) -> InferRequest:
        names, own = tables.asked(parameters), parameters.get(TENSORS, {})
        request = client.request(self._asked.model, inputs)
        request.version = self._asked.version
        request.parameters = {key: value for key, value in parameters.items() if key not in _OURS}
        for tensor in request.inputs:
            tensor.parameters = own.get(tensor.name)
        if names:
            request.outputs = [RequestedOutput(name) for name in names]
        return request

    async def _once(self, request: InferRequest) -> Arrays:
        answer = await self._peer.infer(request, left())
        if not answer.outputs:
            raise ModelFailed(f"the server of model '{self._config.name}' answered without outputs")
        return answer.arrays

    def metadata(self) -> VersionDescription:
        return self._about

    def close(self) -> None:
        """Look no more, and close what is connected."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join(LOOK_S)
        self._peer.close()
