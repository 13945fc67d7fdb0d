"""A model application behind a Serve handle, as the target of its versions."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.exceptions import RequestCancelledError
from ray.serve.handle import DeploymentHandle

from serve_app.core.asking import ASKING, on_requests
from serve_app.core.paths import Paths
from serve_app.core.target import Target
from serve_app.errors import Gone, VersionGone
from serve_app.hop import frames
from serve_app.hop.calls import FAILED, Calls
from serve_app.hop.failures import first_line, translated
from serve_app.protocol.metadata import ModelDescription
from serve_app.protocol.tensors import Arrays, Parameters

log = logging.getLogger("tandem")
# Of replicas by the handle, which knows nothing of versions, so many are asked for one.
_TRIES = 4


class RemoteApplication:
    """Called through the handle of its ingress deployment, or straight in its replicas."""

    def __init__(self, name: str, handle: DeploymentHandle[Any], paths: Paths) -> None:
        self._name, self._paths = name, paths
        self.handle = handle
        self._calls = Calls(handle)
        self._by_handle = 0
        self._abandoned = False
        self._responses: set[Any] = set()  # of calls by the handle

    def targets(self, versions: Iterable[str]) -> dict[str, Target]:
        """Its versions as the data plane takes them, by its word of now: equal to those of before."""
        self._calls.renew()
        return {
            version: Target(predicts=RemoteVersion(self, version), abandon=self.abandon)
            for version in versions
        }

    @property
    def abandoned(self) -> bool:
        """Whether it is deleted."""
        return self._abandoned

    def abandon(self) -> None:
        """The application is deleted, and Serve tells those who wait for its replicas nothing."""
        self._abandoned = True
        for response in self._responses:
            response.cancel()

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch, one hop; sent once more when its replica died (inference has no effects)."""
        try:
            outputs = await self._predict(version, inputs, parameters)
        except (RayActorError, ConnectionError) as error:
            text = "a replica of model '%s' ended with %s in hand, which goes to another: %s"
            log.warning(text, self._name, on_requests(), first_line(error))
            try:
                outputs = await self._predict_by_handle(version, inputs, parameters)
            except RayActorError as error:
                raise translated(self._name, error) from None
        for array in outputs.values():
            array.flags.writeable = False  # ours alone: it can be sent without a copy
        return outputs

    async def _predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        while True:
            # Those that went by the handle may wait in Serve's queue: nobody overtakes them.
            replica = None if self._by_handle else self._calls.choose(version=version)
            if replica is None:
                return await self._predict_by_handle(version, inputs, parameters)
            for array in inputs.values():
                array.flags.writeable = False  # a batch: nobody changes it any more
            about = {"version": version, "parameters": parameters, "asking": list(ASKING.get())}
            answer = await self._calls.ask(replica, frames.pack(about, inputs))
            if answer is None:
                return await self._predict_by_handle(version, inputs, parameters)
            self._paths.fast("batches")
            status, body = answer
            if status != FAILED:
                return frames.unpack(body)[1]
            error = frames.unpack_error(body)
            if not isinstance(error, VersionGone):
                raise error
            replica.has_not(version)  # while replicas change, others still have it

    async def _predict_by_handle(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        self._paths.serve("batches")
        self._by_handle += 1
        try:
            asked = (version, inputs, parameters, list(ASKING.get()))
            for _ in range(_TRIES - 1):
                with contextlib.suppress(VersionGone):
                    return await self._call("predict", *asked)  # type: ignore[no-any-return]
            return await self._call("predict", *asked)  # type: ignore[no-any-return]
        finally:
            self._by_handle -= 1

    async def describe(self) -> ModelDescription:
        """What the application says of itself."""
        return await self._call("describe")  # type: ignore[no-any-return]

    async def recipe(self, version: str) -> bytes:
        """A ModelReplica's, all of its pieces. VersionGone where the one that is asked hasn't it."""
        whole, size = b"", 1
        while len(whole) < size:
            size, piece = await self._call("recipe", version, len(whole))
            if not piece:
                break
            whole += piece
        return whole

    async def _call(self, method: str, *args: Any) -> Any:
        response = getattr(self.handle, method).remote(*args)
        self._responses.add(response)
        try:
            return await response
        except (asyncio.CancelledError, RequestCancelledError):
            task = asyncio.current_task()
            if self._abandoned and not (task and task.cancelling()):
                raise Gone(f"the application of model '{self._name}' is deleted") from None
            response.cancel()
            raise
        except RayActorError:
            raise
        except Exception as error:
            raise translated(self._name, error) from None
        finally:
            self._responses.discard(response)


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """One version of an application."""

    application: RemoteApplication
    version: str

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch. Raises TandemError only."""
        return await self.application.predict(self.version, inputs, parameters)
