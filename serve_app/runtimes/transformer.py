"""Runs a class that was written for KServe, `preprocess` and `postprocess` around a model.

What it gets is as KServe's server gives it: a dict for V1, an InferRequest for V2, and the headers. What
`preprocess` returns is what the model behind is asked, by its type: so V1 may go in and V2 be asked. A
dict with `inputs` may be of both; the predictor's protocol says of which.
"""

import asyncio
import inspect
import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from serve_app.config.transformer import Transformer
from serve_app.core.graphs.aside import LARGE, aside
from serve_app.errors import (
    ConfigError,
    InvalidArgument,
    ModelFailed,
    NotFound,
    TandemError,
    Unavailable,
    plain,
    raised,
    words,
)
from serve_app.protocol.tensors import Arrays, InferRequest, InferResponse
from serve_app.protocol.v1_codec import NO_OBJECT
from serve_app.repository.reasons import passing
from serve_app.repository.stamps import Stamp
from serve_app.runtimes.in_thread import Raised, caught, in_thread, where
from serve_app.runtimes.kserve_api import carried
from serve_app.runtimes.kserve_api.headers import answer_headers
from serve_app.runtimes.kserve_api.model import EXPLAIN, PREDICT, Explained, Model, PredictorConfig
from serve_app.runtimes.kserve_api.raised import meant
from serve_app.runtimes.kserve_api.stand_in import NAME, stand_in, tensor_types
from serve_app.runtimes.tasks import contain_tasks, ended
from serve_app.runtimes.threads import MAY_HANG, Threads
from serve_app.runtimes.user_code import changed, import_class, stamps

log = logging.getLogger("tandem")

T = TypeVar("T")


class Asks(Protocol):
    """How the model behind is asked; `why`, for an explanation. `answer_headers` takes what the class
    sets.
    """

    answer_headers: Sequence[tuple[bytes, bytes]]

    @property
    def explains(self) -> bool:
        """Whether that is what the client wants."""
        ...

    async def document(self, message: Any, why: bool = False) -> Any:
        """By V1."""

    async def tensors(self, request: InferRequest, why: bool = False) -> InferResponse:
        """By V2."""


class KServeTransformer:
    """One object of the class. What isn't `async` runs in one thread, one request after the other, as
    KServe's server runs it; in another one where that hangs."""

    def __init__(self, config: Transformer) -> None:
        self._config = config
        self._object: Any = None
        self.passing = self.explains = self._preprocesses = False
        self._types: Any = None
        self._stamps: Mapping[str, Stamp] = {}
        self._loader: threading.Thread | None = None
        self._thread = Threads(1, config.name, config.hang_after, MAY_HANG, kind="transformer")

    @property
    def trouble(self) -> str:
        """Why it can't be asked for now, as too much of it hangs; else ''."""
        return self._thread.trouble

    async def load(self) -> None:
        """Import and construct it, and call its own `load`; in a thread that nothing else waits for."""
        loading, self._loader = in_thread(partial(caught, self._load), f"load-{self._config.name}")
        found = await loading
        if isinstance(found, Raised):
            raise self._refused(found.error) from found.error

    def _refused(self, error: BaseException) -> TandemError:
        self.passing = isinstance(error, Exception) and passing(error)
        if isinstance(error, TandemError):
            return error
        # SystemExit too: a user's module ends no server.
        said = ": ".join(filter(None, (type(error).__name__, words(error))))
        return ConfigError(f"{self._config.class_path} can't be loaded: {said}")

    def where(self) -> str:
        """What it does while it is loaded, as a traceback has it."""
        return where(self._loader) if self._loader else ""

    def _load(self) -> None:
        path, stood_in = self._config.class_path, stand_in()
        try:
            kind = import_class(path)
        except ConfigError as error:
            if stood_in and NAME in str(error):
                raise ConfigError(
                    f"{error}; Tandem stands in for what transformers use of the package kserve: where "
                    "more is needed, install it"
                ) from error
            raise
        finally:
            self._stamps = stamps(path)
        if not isinstance(kind, type):
            raise ConfigError(f"{path} is no class, but a {type(kind).__name__}")
        if not any(callable(getattr(kind, name, None)) for name in ("preprocess", "postprocess")):
            raise ConfigError(f"{path} has neither preprocess nor postprocess")
        self._preprocesses = hasattr(kind, "preprocess") and not _of_kserve(kind, "preprocess")
        self._types = tensor_types()
        made = type(
            kind.__name__, (kind, Explained), {"__module__": kind.__module__, **self._more(kind)}
        )
        arguments = self._arguments(made)
        try:
            inspect.signature(made).bind(**arguments)
        except TypeError as error:
            raise ConfigError(f"options don't fit {path}: {error}") from error
        self._object = made(**arguments)
        if not _of_kserve(kind, "load") and callable(load := getattr(self._object, "load", None)):
            load()

    def _more(self, kind: type) -> dict[str, Any]:
        """What KServe's server gives a model at its start."""
        config = self._config
        found: dict[str, Any] = {
            "predictor_config": PredictorConfig(config.predictor, config.predictor_protocol)
        }
        if not hasattr(kind, "predict") or _of_kserve(kind, "predict"):
            found["predict"] = Model.predict
        self.explains = callable(getattr(kind, "explain", None)) and not _of_kserve(kind, "explain")
        if not self.explains:
            found["explain"] = Explained.explain
        return found

    def _arguments(self, kind: type) -> dict[str, Any]:
        config = self._config
        known = {
            "name": config.name,
            "model_name": config.name,
            "predictor_host": config.predictor,
            "predictor_protocol": config.predictor_protocol,
            "protocol": config.predictor_protocol,
            "predictor_use_ssl": False,
        }
        takes = inspect.signature(kind).parameters
        return {name: value for name, value in known.items() if name in takes} | config.options

    def changed(self) -> bool:
        """Whether its modules' files aren't what they were."""
        return changed(self._stamps)

    def close(self) -> None:
        """Let go of it. What runs although nobody waits for it may finish."""
        self._thread.end()

    async def document(self, message: Any, headers: dict[str, str], asks: Asks) -> Any:
        """One of V1: what JSON holds, or V2's JSON where `postprocess` returns that."""
        if not isinstance(message, dict) and not self._preprocesses:  # the class isn't to blame
            raise InvalidArgument(NO_OBJECT)
        return self._read(self._as_json, await self._through(message, headers, asks))

    def _as_json(self, found: Any) -> Any:
        return carried.written(self._config.name, found) if hasattr(found, "outputs") else found

    async def tensors(
        self, request: InferRequest, headers: dict[str, str], grpc: bool, asks: Asks
    ) -> Arrays:
        """One of V2."""
        types, wanted = self._types, request.outputs
        inputs = [carried.tensor_of(types.InferInput, tensor, not grpc) for tensor in request.inputs]
        asked = None if wanted is None else [carried.output_asked(types, one.name) for one in wanted]
        given = types.InferRequest(
            model_name=request.model, infer_inputs=inputs, request_id=request.id, from_grpc=grpc,
            parameters=dict(request.parameters), request_outputs=asked, model_version=request.version,
        )  # fmt: skip
        return self._read(self._answered, await self._through(given, headers, asks))

    def _answered(self, found: Any) -> Arrays:
        types = self._types
        if isinstance(found, dict) and isinstance(found.get("outputs"), list):
            found = types.InferResponse.from_rest(found)
        if not hasattr(found, "outputs"):
            raise ModelFailed(
                f"transformer '{self._config.name}' returned a {type(found).__name__} to a request of "
                "V2: postprocess has to return an InferResponse"
            )
        return {carried.name_of(one): carried.array_of(one) for one in found.outputs}

    async def _through(self, payload: Any, headers: dict[str, str], asks: Asks) -> Any:
        PREDICT.set(lambda asked: self._ask(asked, asks))
        EXPLAIN.set(lambda asked: self._ask(asked, asks, why=True))
        task = asyncio.current_task()
        said: dict[str, str] = {}  # one for both functions, as KServe's server has it
        more = (said,) if getattr(self._object, "required_response_headers", False) else ()
        try:
            payload = await self._call("preprocess", payload, headers)
            if asks.explains:
                found = await self._call("explain", payload, headers)
            else:
                found = await self._call("predict", payload, headers, *more)
            found = await self._call("postprocess", found, headers, *more)
            if said:
                asks.answer_headers = answer_headers(said, f"transformer '{self._config.name}'")
            return found
        except TandemError as error:
            raise plain(error) from None
        except BaseException as error:  # SystemExit too: user code ends no server
            if ended(error, task):
                raise
            raise self._failed(error) from None

    def _read(self, read: Callable[[Any], T], found: Any) -> T:
        """What the class returned, which may be no answer and no request. That is its fault, and not the
        client's.
        """
        text = f"transformer '{self._config.name}' returned tensors that can't be read:"
        try:
            return read(found)
        except InvalidArgument as error:
            raise ModelFailed(f"{text} {error.message}") from None
        except TandemError as error:
            raise plain(error) from None
        except Exception as error:
            raise raised(text, error) from None

    def _failed(self, error: BaseException) -> TandemError:
        what = f"transformer '{self._config.name}' raised"
        said = meant(error, what)
        if isinstance(said, InvalidArgument | NotFound):
            return said
        found = raised(what, error)
        log.error("%s\n%s", found.whole, "".join(traceback.format_exception(error))[-20_000:])
        found.logged = True
        if isinstance(said, ModelFailed):
            said.logged = True
        return said or found

    async def _call(self, name: str, payload: Any, *more: Any) -> Any:
        function = getattr(self._object, name, None)
        if function is None:
            return payload
        if inspect.iscoroutinefunction(function):
            contain_tasks()
            return await function(payload, *more)
        try:
            found = await self._thread.run(caught, function, payload, *more)
        except Unavailable as error:  # what the function itself raises is caught
            name = self._config.name
            raise Unavailable(f"transformer '{name}' is not ready: {error.message}") from None
        if isinstance(found, Raised):
            raise found.error
        return await found if inspect.isawaitable(found) else found

    async def _ask(self, payload: Any, asks: Asks, why: bool = False) -> Any:
        """The model behind, in the form in which it is asked."""
        if isinstance(payload, dict):
            if self._config.predictor_protocol == "v1" or "inputs" not in payload:
                lists = {key: one.tolist() if isinstance(one, np.ndarray) else one
                         for key, one in payload.items()}  # fmt: skip
                return await asks.document(lists, why)
            payload = self._read(carried.body_of, payload)
        elif not hasattr(payload, "inputs"):
            raise ModelFailed(
                f"transformer '{self._config.name}': preprocess returned a {type(payload).__name__}; a "
                "dict asks the model behind by V1, an InferRequest by V2"
            )
        large = isinstance(payload, bytes) and len(payload) >= LARGE
        request = await aside(large, self._read, carried.request_of, payload)
        return carried.response_of(self._types, await asks.tensors(request, why))


def _of_kserve(kind: type, name: str) -> bool:
    """Whether a method is the base class's own."""
    module = getattr(getattr(kind, name, None), "__module__", "") or ""
    return module.startswith((f"{NAME}.", "serve_app."))
