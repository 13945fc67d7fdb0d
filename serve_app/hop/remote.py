"""Where batches run: in this process, or behind a Serve handle."""

import asyncio
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from serve_app.hop import frames
from serve_app.hop.calls import FAILED, DirectCalls
from serve_app.hop.failures import translated
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters


class RemoteBackend:
    """A model application, called through the handle of its ingress deployment."""

    def __init__(self, name: str, handle: DeploymentHandle[Any]) -> None:
        self._name = name
        self._handle = handle
        self._direct = DirectCalls(handle)
        self._by_handle = 0

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch, one hop; sent once more when its replica died (inference has no effects)."""
        try:
            outputs = await self._predict(version, inputs, parameters)
        except (RayActorError, ConnectionError):
            try:
                outputs = await self._predict_by_handle(version, inputs, parameters)
            except RayActorError as error:
                raise translated(self._name, error) from None
        for array in outputs.values():
            array.flags.writeable = False  # ours alone: it can be sent without a copy
        return outputs

    async def _predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        # Those that went by the handle may wait in Serve's queue: nobody overtakes them.
        replica = None if self._by_handle else self._direct.choose()
        if replica is None:
            return await self._predict_by_handle(version, inputs, parameters)
        for array in inputs.values():
            array.flags.writeable = False  # a batch: nobody changes it any more
        about = {"version": version, "parameters": parameters}
        answer = await self._direct.ask(replica, frames.pack(about, inputs))
        if answer is None:
            return await self._predict_by_handle(version, inputs, parameters)
        status, body = answer
        if status == FAILED:
            raise frames.unpack_error(body)
        return frames.unpack(body)[1]

    async def _predict_by_handle(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        self._by_handle += 1
        try:
            return await self._call("predict", version, inputs, parameters)  # type: ignore[no-any-return]
        finally:
            self._by_handle -= 1

    async def describe(self) -> ModelDescription:
        """What the application says of itself."""
        return await self._call("describe")  # type: ignore[no-any-return]

    async def _call(self, method: str, *args: Any) -> Any:
        response = getattr(self._handle, method).remote(*args)
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except RayActorError:
            raise
        except Exception as error:
            raise translated(self._name, error) from None
