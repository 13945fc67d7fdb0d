"""How an explainer's replica asks the model that it explains: by a Router, as any other client.

So the model may be anywhere, in a Router, in replicas, on another server, and its limits, versions and
batches hold for explanations too.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app.core.asking import ASKING
from serve_app.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    NotFound,
    Overloaded,
    TandemError,
    TooLarge,
    Unavailable,
    Unsupported,
    copied,
)
from serve_app.hop.failures import translated
from serve_app.internals.serve_status import serve_applications
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays
from serve_app.releases.applications import ROUTER

log = logging.getLogger("tandem")

P = ParamSpec("P")
T = TypeVar("T")

_MORE_S = 5.0  # than the Router takes to say that it was too long
_REFUSED = (InvalidArgument, NotFound, TooLarge, Unsupported, Overloaded, DeadlineExceeded)


def telling(
    method: Callable[P, Awaitable[T]],
) -> Callable[P, Coroutine[Any, Any, T | TandemError]]:
    """A Router's method that returns what it refuses a request with: Serve logs what is raised, with a
    traceback, as if the Router had failed.
    """

    @functools.wraps(method)
    async def told(*args: P.args, **kwargs: P.kwargs) -> T | TandemError:
        try:
            return await method(*args, **kwargs)
        except _REFUSED as error:
            return copied(error)

    return told


class Explained:
    """Implements `serve_app.explainers.asking.Models`, of `model`; to be made on the replica's loop.

    `who` asks, as far as the model's queue is concerned.
    """

    def __init__(self, model: str, who: str) -> None:
        self._model, self._who, self._loop = model, f"explainer:{who}", asyncio.get_running_loop()
        self._thread = threading.get_ident()  # the loop's
        self._handle: DeploymentHandle[Any] | None = None

    def describe(self, version: str, seconds: float) -> VersionDescription:
        """As `asking.Models`."""
        return self._asked(seconds, "signature", self._model, version)  # type: ignore[no-any-return]

    def predict(self, version: str, inputs: Arrays, output: str, seconds: float) -> Arrays:
        """As `asking.Models`."""
        ids = list(ASKING.get())
        asked = (self._model, version, inputs, output, seconds, ids[0] if ids else "", self._who)
        return self._asked(seconds, "ask", *asked)  # type: ignore[no-any-return]

    def _asked(self, seconds: float, method: str, *args: Any) -> Any:
        if threading.get_ident() == self._thread:  # it would wait for itself
            raise ModelFailed(
                "the explainer asks the model by a call that blocks, where it may not wait: in an async "
                "explain, await model.predict_async(inputs)"
            )
        call = self._call(seconds, method, *args)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    async def _call(self, seconds: float, method: str, *args: Any) -> Any:
        try:
            async with asyncio.timeout(seconds + _MORE_S):
                if self._handle is None:
                    self._handle = await asyncio.to_thread(_router)
                found = await getattr(self._handle, method).remote(*args)
        except TimeoutError:
            text = f"model '{self._model}' gave the explainer no answer within {seconds:.3g} s"
            raise DeadlineExceeded(text) from None
        except TandemError:
            raise
        except (RayError, RayServeException) as error:
            failed = translated(self._model, error)
            if isinstance(failed, Unavailable):
                self._handle = None  # another application may have the Router by now
            raise failed from None
        if isinstance(found, TandemError):
            raise found
        return found


def _router() -> DeploymentHandle[Any]:
    for name, app in serve_applications().items():
        if ROUTER in app["deployments"]:
            return serve.get_deployment_handle(ROUTER, name)
    raise Unavailable("there is no Router that the explainer could ask")
