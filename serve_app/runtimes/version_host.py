"""One version of a model in this process: its runtime, run, and what it answers held to its word."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serve_app.core.asking import ASKING, on_requests
from serve_app.errors import ModelFailed, TandemError, plain, raised, words
from serve_app.protocol.datatypes import as_v2_array, holds_bytes, v2_datatype
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.base import InPieces, Runtime, Tokenizes, Watched, is_async
from serve_app.runtimes.room import give_back
from serve_app.runtimes.tasks import contain_tasks
from serve_app.runtimes.threads import Threads

log = logging.getLogger("tandem")

_MOST_LOGGED = 20_000  # characters: an exception may quote all of its input


class VersionHost:
    """Runs a `runtime`, in `pool` unless it is async; `ours`: nobody else has its answers' arrays.

    `uncancellable`: a prediction may go on although it is cancelled; a user's coroutine may.
    """

    def __init__(self, model: str, version: str, runtime: Runtime, pool: Threads, ours: bool) -> None:
        self.model, self.version = model, version
        self.signature = runtime.metadata()
        self.uncancellable = is_async(runtime)
        self._runtime, self._pool, self._ours = runtime, pool, ours
        outputs = [] if self.signature.passes else self.signature.outputs
        self._outputs = {spec.name: spec for spec in outputs}
        self._required = [name for name, spec in self._outputs.items() if not spec.optional]
        self.when_closed: Callable[[], None] = lambda: None
        pool.hold()

    @property
    def trouble(self) -> str:
        """Why it refuses predictions; '' while it doesn't."""
        watched = isinstance(self._runtime, Watched)
        return self._pool.trouble or (self._runtime.trouble if watched else "")  # type: ignore[attr-defined]

    def watch(self, tell: Callable[[], None]) -> None:
        """`tell`, in any thread, when there is trouble or none any more that it hears of by itself."""
        if isinstance(self._runtime, Watched):
            self._runtime.watch(tell)

    def stand_by(self) -> None:
        """Have a thread that waits: the first prediction is about to come."""
        if not self.uncancellable:
            self._pool.stand_by()

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """Run one batch; ModelFailed when the model's code raises or breaks its declaration."""
        try:
            run = self._runtime.predict
            if self.uncancellable:
                contain_tasks()
                outputs = await run(inputs, parameters)
            else:
                outputs = await self._pool.run(self._called, run, inputs, parameters, ASKING.get())
        except TandemError as error:
            found = plain(error)
            if isinstance(found, ModelFailed):
                self._log(found, error)
            raise found from None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancelled us: it came out of the model's own code.
            found = ModelFailed(f"model '{self.model}' cancelled its own prediction")
            self._log(found, error)
            raise found from None
        except GeneratorExit:
            raise  # this very coroutine is told to end
        except BaseException as error:  # SystemExit too: user code ends no server
            cause = error.error if isinstance(error, _Raised) else error
            found = raised(f"model '{self.model}' raised", cause)
            self._log(found, cause)
            raise found from None
        try:
            return self._checked(outputs)
        except ModelFailed as error:
            self._log(error, None)
            raise

    @property
    def streams(self) -> InPieces | None:
        """What answers piece by piece, if anything does."""
        runtime = self._runtime
        return runtime if isinstance(runtime, InPieces) and runtime.streams else None

    def _log(self, found: ModelFailed, cause: BaseException | None) -> None:
        """What the model's code did, and on whose request: here, where its traceback is."""
        text = "model '%s' version %s failed on %s: %s"
        said = "".join(traceback.format_exception(cause)) if cause else ""
        if len(said) > _MOST_LOGGED:  # it may quote all of its input
            text, cause = f"{text}\n{said[-_MOST_LOGGED:].replace('%', '%%')}", None
        log.disabled = False  # a dictConfig in the model's code turns off the loggers that there are
        log.error(text, self.model, self.version, on_requests(), found.whole, exc_info=cause)
        found.logged = True

    def _checked(self, outputs: object) -> Arrays:
        specs = self._outputs
        if not isinstance(outputs, dict):
            raise ModelFailed(
                f"model '{self.model}' returned {type(outputs).__name__}, not a dict of arrays"
            )
        arrays: Arrays = {}
        for name, value in outputs.items():
            if not isinstance(name, str):
                raise ModelFailed(f"model '{self.model}' named an output {name!r}, which is no string")
            try:
                array = as_v2_array(np.asarray(value))
            except Exception as error:  # ragged lists, tensors on a GPU, text that isn't Unicode
                raise raised(f"output '{name}' can't be made an array:", error) from None
            datatype = v2_datatype(array)
            spec = specs.get(name)
            if datatype is None or (datatype == "BYTES" and not holds_bytes(array)):
                raise ModelFailed(
                    f"output '{name}' is a {array.dtype} array that V2 can't carry{_holds(array)}"
                )
            if specs and (spec is None or spec.datatype != datatype or not spec.accepts(array.shape)):
                declared = f"{spec.datatype} {list(spec.shape)}" if spec else "not declared"
                raise ModelFailed(
                    f"output '{name}' of model '{self.model}' is {datatype} {list(array.shape)}, "
                    f"but {declared} in its metadata"
                )
            if self._ours:
                array.flags.writeable = False  # so it is sent as it is, without a copy
            arrays[name] = array
        if missing := [name for name in self._required if name not in arrays]:
            raise ModelFailed(f"model '{self.model}' didn't return {', '.join(missing)}")
        return arrays

    def _called(self, *how: Any) -> Any:
        """In a thread, which is known to run this version (`Threads.wait_for`)."""
        return _called(*how)

    def recipe(self) -> bytes:
        """How its texts become tokens, to be done elsewhere; empty where nothing says so. Blocks."""
        return self._runtime.recipe() if isinstance(self._runtime, Tokenizes) else b""

    def close(self) -> None:
        """Give its memory back, once what runs has ended, or hangs; no verb follows. Blocks."""
        self._pool.wait_for(self)
        self._pool.release()
        try:
            self._runtime.close()
        except Exception:  # a user's close: the other versions' come after it
            log.exception("model '%s' version %s couldn't be closed", self.model, self.version)
        self.when_closed()
        give_back()


@dataclass(eq=False, slots=True)
class There:
    """A version in memory, the files that it was read from, as they were, and the bytes that it took."""

    host: VersionHost
    files: object  # another one when they are others
    memory: int


def _called(run: Any, inputs: Arrays, parameters: Parameters, asking: Sequence[str]) -> Any:
    """The model's answer, in a thread whose log lines say who asks."""
    ASKING.set(asking)
    try:
        return run(inputs, parameters)
    except BaseException as error:
        # No future takes the first; others than these would end this process.
        if isinstance(error, StopIteration) or not isinstance(error, Exception | asyncio.CancelledError):
            raise _Raised(error) from None
        raise


class _Raised(Exception):
    """Carries what can't leave a thread by itself."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def described(error: BaseException) -> str:
    """Kind and message of a user's exception, which may have no message to give."""
    said = words(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _holds(array: np.ndarray) -> str:
    """What an array of objects holds, and what was probably wanted."""
    if array.dtype != object:
        return ""
    first = next((item for item in array.flat if not isinstance(item, bytes | str)), None)
    if isinstance(first, dict):
        return (
            ": it holds dicts, as an ONNX model of scikit-learn gives them (seq(map(…)), ZipMap); "
            "an array is np.array([list(row.values()) for row in rows], np.float32), or export with "
            "zipmap=False"
        )
    return f": it holds {type(first).__name__}"
