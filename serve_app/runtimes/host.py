"""All versions of one model, loaded in this process. The Router hosts inline models, a
ModelReplica its own; both through this class."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from serve_app.config import Batching, ModelConfig
from serve_app.errors import ConfigError, ModelFailed, NotFound, TandemError
from serve_app.protocol.datatypes import as_v2_array, holds_bytes, v2_datatype
from serve_app.protocol.elements import to_array
from serve_app.protocol.metadata import ModelDescription, example_inputs
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.repository.storage import local_folder
from serve_app.repository.versions import version_folders
from serve_app.runtimes.base import Runtime, create, is_async

log = logging.getLogger("tandem")


@dataclass(frozen=True)
class Loaded:
    """How long a version took: `began` as `time.time()`, the rest in seconds."""

    version: str
    began: float
    load: float
    warm_up: float


class ModelHost:
    """Loads, runs and closes the versions of one model."""

    def __init__(self, config: ModelConfig, gpu: bool = False) -> None:
        self.config = config
        self.name = config.name or ""
        self._gpu = gpu
        # A user's class may keep the arrays it returns, and change them; frameworks' are new each time.
        self._ours = config.model_format != "python"
        self._runtimes: dict[str, Runtime] = {}
        self._outputs: dict[str, dict[str, TensorSpec]] = {}
        self._async: dict[str, bool] = {}
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix=f"model-{self.name}")

    def load(self) -> list[Loaded]:
        """Load and warm up every version; ConfigError names model and version. Blocks."""
        done = []
        config = self.config
        folders = (
            version_folders(local_folder(config.storage_uri), config.versions)
            if config.storage_uri
            else {"1": None}
        )
        for version, folder in folders.items():
            began, started = time.time(), time.monotonic()
            try:
                extra = {"gpu": self._gpu} if config.model_format != "python" else {}
                runtime = create(config, folder, **extra)
                runtime.load()
                described = runtime.metadata()
                self._outputs[version] = {spec.name: spec for spec in described.outputs}
                self._runtimes[version] = runtime
                self._async[version] = is_async(runtime)
                loaded = time.monotonic()
                if config.warm_up and described.inputs:
                    runtime.warm_up(example_arrays(described.inputs))
                warm = time.monotonic()
                done.append(Loaded(version, began, loaded - started, warm - loaded))
            except TandemError as error:
                raise ConfigError(f"model '{self.name}' version {version}: {error}") from error
            except Exception as error:
                raise ConfigError(
                    f"model '{self.name}' version {version}: {type(error).__name__}: {error}"
                ) from error
        return done

    @property
    def stubborn(self) -> bool:
        """Whether a prediction may go on although it is cancelled: a user's coroutine, for one."""
        return any(self._async.values())

    def describe(self, batching: Batching | None, in_flight: int) -> ModelDescription:
        """The description that the data plane works with."""
        return ModelDescription(
            name=self.name,
            platform=self.config.model_format,
            versions={version: runtime.metadata() for version, runtime in self._runtimes.items()},
            max_batch_size=batching.max_batch_size if batching else 0,
            max_latency=batching.max_latency if batching else 0,
            in_flight=in_flight,
        )

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """Run one batch; ModelFailed when the model's code raises or breaks its declaration."""
        runtime = self._runtimes.get(version)
        if runtime is None:
            raise NotFound(f"model '{self.name}' has no version '{version}'")
        try:
            if self._async[version]:
                outputs = await runtime.predict(inputs, parameters)
            else:
                loop = asyncio.get_running_loop()
                outputs = await loop.run_in_executor(self._pool, runtime.predict, inputs, parameters)
        except TandemError:
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancelled us: it came out of the model's own code.
            raise ModelFailed(f"model '{self.name}' cancelled its own prediction") from None
        except Exception as error:
            log.exception("model %s version %s raised", self.name, version)
            raise ModelFailed(f"model '{self.name}' raised {type(error).__name__}: {error}") from None
        return self._checked(outputs, self._outputs[version])

    def _checked(self, outputs: object, specs: dict[str, TensorSpec]) -> Arrays:
        if not isinstance(outputs, dict):
            raise ModelFailed(
                f"model '{self.name}' returned {type(outputs).__name__}, not a dict of arrays"
            )
        arrays: Arrays = {}
        for name, value in outputs.items():
            if not isinstance(name, str):
                raise ModelFailed(f"model '{self.name}' named an output {name!r}, which is no string")
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
                    f"output '{name}' of model '{self.name}' is {datatype} {list(array.shape)}, "
                    f"but {declared} in its metadata"
                )
            if self._ours:
                array.flags.writeable = False  # so it is sent as it is, without a copy
            arrays[name] = array
        if missing := [name for name in specs if name not in arrays]:
            raise ModelFailed(f"model '{self.name}' didn't return {', '.join(missing)}")
        return arrays

    def close(self) -> None:
        """Give everything back once running predictions are done. Blocks."""
        self._pool.shutdown(wait=True)
        for runtime in self._runtimes.values():
            runtime.close()
        self._runtimes.clear()


def example_arrays(specs: list[TensorSpec]) -> Arrays:
    """Example inputs as arrays, for warm-up."""
    return {
        entry["name"]: to_array(entry["data"], entry["datatype"], tuple(entry["shape"]), entry["name"])
        for entry in example_inputs(specs)
    }
