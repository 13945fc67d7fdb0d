"""One version of a model into memory: read, held against the configuration, warmed up."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError, TandemError
from serve_app.protocol.elements import to_array
from serve_app.protocol.metadata import example_inputs
from serve_app.protocol.tensors import Arrays, TensorSpec
from serve_app.repository.reasons import Full
from serve_app.repository.stamps import stamps_in
from serve_app.runtimes.attempts import attempt
from serve_app.runtimes.base import Runtime, create
from serve_app.runtimes.freeze_gc import paused_gc
from serve_app.runtimes.labels import put_labels
from serve_app.runtimes.room import free_gpu, free_memory, size
from serve_app.runtimes.short_turns import short_turns
from serve_app.runtimes.threads import Threads
from serve_app.runtimes.version_host import VersionHost, described

# Keys that change nothing in a version.
_NOT_READ = {"versions": "all", "load_timeout": 60.0, "swap": "beside"}


@dataclass(frozen=True)
class Loaded:
    """How long a version took: `began` as `time.time()`, the rest in seconds."""

    version: str
    began: float
    load: float
    warm_up: float


def load_version(
    config: ModelConfig,
    version: str,
    folder: Path | None,
    pool: Threads,
    gpu: bool,
    files: object,
    told: Callable[[str], str] = str,
) -> tuple[VersionHost, Loaded]:
    """Load and warm it up, from `files`; ConfigError names model and version, and their places as `told`
    has them. Blocks.
    """
    name, began, started = config.name or "", time.time(), time.monotonic()
    host: VersionHost | None = None
    done = contextlib.ExitStack()
    done.enter_context(short_turns())
    try:
        if files:
            said = sorted(files.items()) if isinstance(files, Mapping) else files
            done.enter_context(attempt((name, version, said)))
        ours = config.model_format != "python"
        extra: dict[str, Any] = {"gpu": gpu} if ours else {"version": version}
        runtime = create(config, folder, **extra)
        # Not of a user's class, which may do anything, for as long as it likes.
        with paused_gc() if ours and folder else contextlib.nullcontext():
            runtime.load()
        # A user's class may keep the arrays it returns, and change them; frameworks' are new each time.
        host = VersionHost(name, version, runtime, pool, ours)
        put_labels(config, host.signature, folder)
        loaded = time.monotonic()
        _batches(config, host.signature.inputs)
        if config.warm_up and host.signature.inputs:
            _warmed_up(runtime, host.signature.inputs)
        warm = time.monotonic()
        return host, Loaded(version, began, loaded - started, warm - loaded)
    # Nobody cancels or ends a thread: CancelledError and SystemExit are the model's own, too.
    except BaseException as error:
        if host is not None:
            host.close()
        said = str(error) if isinstance(error, TandemError) else described(error)
        raise ConfigError(f"model '{name}' version {version}: {told(said)}") from error
    finally:
        done.close()


def needed(model_format: str, folder: Path | None, before: int) -> int:
    """Bytes that a version will take: as its files are large, or as the one of `before` took. What a
    user's class reads of its files nobody knows.
    """
    if folder is None or model_format == "python":
        return before
    return max(before, sum(size for size, *_ in stamps_in([folder]).values()))


def check_room(need: int, gpu: bool, swap: str = "beside") -> None:
    """Full where so much doesn't fit beside what serves."""
    hint = "; `swap: replace` drops the version of before first" if swap == "beside" else ""
    rooms = [("of memory", free_memory())]
    if gpu and (free := free_gpu()) is not None:
        rooms = [("of the GPU's memory", free)]
    for what, free in rooms:
        if need > free:
            raise Full(
                f"no room beside what serves: it takes about {size(need)} {what}, "
                f"{size(free)} are free{hint}"
            )


def _batches(config: ModelConfig, inputs: list[TensorSpec]) -> None:
    """ConfigError where requests are to be joined along a dimension that has one size."""
    if config.batching is None or config.batching.max_batch_size == 1:
        return
    for spec in inputs:
        if spec.shape and spec.shape[0] >= 0 and not spec.any_rank and not spec.optional:
            raise ConfigError(
                f"`batching` joins requests along the first dimension, and input '{spec.name}' is "
                f"{list(spec.shape)}: exactly {spec.shape[0]} there. Export it with dynamic shapes "
                "(a first dimension of -1), or leave batching out"
            )


def _warmed_up(runtime: Runtime, inputs: list[TensorSpec]) -> None:
    """ConfigError says what it was run on: the model may be right, and the example wrong."""
    given = example_inputs(inputs)
    try:
        runtime.warm_up(example_arrays(inputs))
    except BaseException as error:  # nobody cancels or ends this thread: it is the model's own
        examples = {spec.name: spec.example for spec in inputs}
        invented = [one for one in given if examples[one["name"]] is None]
        kind = "" if isinstance(error, TandemError) else f"{type(error).__name__}: "
        said = ", ".join(
            f"{one['name']} {one['datatype']} {one['shape']} of {one['data'][:1]}" for one in invented
        )
        hint = (
            f"the warm-up failed on an invented example ({said}); if the model takes no such input, "
            f"give one that it takes, `example: […]` of inputs.{invented[0]['name']}, or set "
            "warmUp: false"
            if invented
            else f"the warm-up failed on the example of {', '.join(examples)}"
        )
        raise ConfigError(f"{hint}: {kind}{error}") from error


def example_arrays(specs: list[TensorSpec]) -> Arrays:
    """Example inputs as arrays, for warm-up."""
    return {
        entry["name"]: to_array(entry["data"], entry["datatype"], tuple(entry["shape"]), entry["name"])
        for entry in example_inputs(specs)
    }


def as_read(config: ModelConfig) -> ModelConfig:
    """What of a configuration decides how a version is read and run."""
    known = {key: value for key, value in _NOT_READ.items() if key in type(config).model_fields}
    return config.model_copy(update=known)


def origin(error: BaseException) -> BaseException | None:
    """What an error of ours came from, where that is somebody else's and its traceback worth showing."""
    found: BaseException | None = error
    while isinstance(found, TandemError):
        found = found.__cause__
    return found
