"""One version of a model in this process: its runtime, run, and what it answers held to its word."""

import asyncio
import logging
from concurrent.futures import Executor

import numpy as np

from serve_app.errors import ModelFailed, TandemError, plain, raised
from serve_app.protocol.datatypes import as_v2_array, holds_bytes, v2_datatype
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes.base import Runtime, is_async

log = logging.getLogger("tandem")


class VersionHost:
    """Runs a `runtime`, in `pool` unless it is async; `ours`: nobody else has its answers' arrays.

    `uncancellable`: a prediction may go on although it is cancelled; a user's coroutine may.
    """

    def __init__(self, model: str, version: str, runtime: Runtime, pool: Executor, ours: bool) -> None:
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
                run = self._runtime.predict
                outputs = await loop.run_in_executor(self._pool, run, inputs, parameters)
        except TandemError as error:
            raise plain(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancelled us: it came out of the model's own code.
            raise ModelFailed(f"model '{self.model}' cancelled its own prediction") from None
        except Exception as error:
            log.exception("model %s version %s raised", self.model, self.version)
            raise raised(f"model '{self.model}' raised", error) from None
        return self._checked(outputs)

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
