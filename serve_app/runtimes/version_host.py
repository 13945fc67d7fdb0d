"""One version of a model in this process: its runtime, run, and what it answers held to its word."""

import asyncio
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from serve_app.errors import ModelFailed, TandemError, plain
from serve_app.protocol.datatypes import as_v2_array, holds_bytes, v2_datatype
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.base import Runtime, is_async

log = logging.getLogger("tandem")

_MOST_SAID, _MOST_LOGGED = 2000, 20_000  # characters: an exception may quote all of its input


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class VersionHost:
    """Runs a `runtime`, in `pool` unless it is async; `ours`: nobody else has its answers' arrays.

    `uncancellable`: a prediction may go on although it is cancelled; a user's coroutine may.
    """

    def __init__(
        self, model: str, version: str, runtime: Runtime, pool: ThreadPoolExecutor, ours: bool
    ) -> None:
        self.model, self.version = model, version
        self.signature = runtime.metadata()
        self.uncancellable = is_async(runtime)
        self._runtime, self._pool, self._ours = runtime, pool, ours
        self._outputs = {spec.name: spec for spec in self.signature.outputs}

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """Run one batch; ModelFailed when the model's code raises or breaks its declaration."""
        try:
            if self.uncancellable:
                outputs = await self._runtime.predict(inputs, parameters)
            else:
                loop = asyncio.get_running_loop()
                outputs = await loop.run_in_executor(self._pool, self._run, inputs, parameters)
                if isinstance(outputs, _Raised):
                    raise outputs.error
        except TandemError as error:
            raise plain(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancelled us: it came out of the model's own code.
            raise ModelFailed(f"model '{self.model}' cancelled its own prediction") from None
        except GeneratorExit:
            raise  # this very coroutine is told to end
        except BaseException as error:  # SystemExit too: user code ends no server
            said = "".join(traceback.format_exception(error))
            log.error("model %s version %s raised\n%s", self.model, self.version, said[-_MOST_LOGGED:])
            text = f"{type(error).__name__}: {error}"[:_MOST_SAID]
            raise ModelFailed(f"model '{self.model}' raised {text}") from None
        return self._checked(outputs)

    def _run(self, inputs: Arrays, parameters: Parameters) -> Any:
        """In a thread. Whatever it raises as a value: a future doesn't take every exception."""
        try:
            return self._runtime.predict(inputs, parameters)
        except BaseException as error:
            return _Raised(error)

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
                raise ModelFailed(f"output '{name}' can't be made an array: {error}") from None
            datatype = v2_datatype(array)
            spec = specs.get(name)
            if datatype is None or (datatype == "BYTES" and not holds_bytes(array)):
                raise ModelFailed(f"output '{name}' is a {array.dtype} array that V2 can't carry")
            if specs and (spec is None or spec.datatype != datatype or not spec.accepts(array.shape)):
                declared = f"{spec.datatype} {list(spec.shape)}" if spec else "not declared"
                raise ModelFailed(
                    f"output '{name}' of model '{self.model}' is {datatype} {list(array.shape)}, "
                    f"but {declared} in its metadata"
                )
            if self._ours:
                array.flags.writeable = False  # so it is sent as it is, without a copy
            arrays[name] = array
        if missing := [name for name in specs if name not in arrays]:
            raise ModelFailed(f"model '{self.model}' didn't return {', '.join(missing)}")
        return arrays

    def close(self) -> None:
        """Give its memory back; no verb follows."""
        self._runtime.close()
