"""The versions of one model, loaded in this process. The Router hosts inline models, a ModelReplica
its own; both through `ModelHost`."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.config import Batching, ModelConfig
from serve_app.core.target import Target
from serve_app.errors import ConfigError, TandemError, VersionGone
from serve_app.protocol.elements import to_array
from serve_app.protocol.metadata import ModelDescription, example_inputs
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.repository.progress import Tell, nobody
from serve_app.repository.stamps import Stamp
from serve_app.repository.storage import Held, hold, state
from serve_app.runtimes.base import Runtime, create
from serve_app.runtimes.threads import Threads
from serve_app.runtimes.user_code import changed, stamps
from serve_app.runtimes.version_host import VersionHost, described

log = logging.getLogger("tandem")

# Formats whose rows have nothing to do with each other: a large request goes in pieces of so many, so
# that others come between them. Of torch, onnx and classes nobody knows that, without `batching`.
_ROW_BY_ROW, _PIECE = ("transformers",), 64


@dataclass(frozen=True)
class Loaded:
    """How long a version took: `began` as `time.time()`, the rest in seconds."""

    version: str
    began: float
    load: float
    warm_up: float


class ModelHost:
    """Loads and closes the versions of one model, which share its threads.

    `may_lose`, `on_trouble`: of the threads that hang (serve_app.runtimes.threads). `tell` hears, in the
    thread that loads, how far files are that have to be fetched. `starting`: its process is, and does
    with what the store said a moment ago, or ever where it says nothing now.
    """

    def __init__(
        self,
        config: ModelConfig,
        gpu: bool = False,
        may_lose: int = 0,
        on_trouble: Callable[[str], None] = lambda reason: None,
        tell: Tell = nobody,
        starting: bool = False,
    ) -> None:
        self.config = config
        self.name = config.name or ""
        self.wanted: tuple[str, ...] = ()  # the versions that `load` found, whether they load or not
        self._gpu = gpu
        self._versions: dict[str, VersionHost] = {}
        self._held = Held({}, {})  # where they are read from
        self._tell, self._stop, self._starting = tell, threading.Event(), starting
        self._sources: dict[str, Stamp] = {}
        self._pool = Threads(config.concurrency, self.name, config.hang_after, may_lose, on_trouble)

    def load(self) -> list[Loaded]:
        """Load and warm up every version; ConfigError names model and version. Blocks."""
        done = []
        config = self.config
        folders: Mapping[str, Path | None] = self._alone()
        if config.storage_uri:
            asker = config.model_dump_json() if self._starting else ""
            self._held = hold(config.storage_uri, config.versions, self._tell, self._stop, asker)
            folders = self._held.folders
            if self._held.checksums:  # it was fetched, by this process or another
                self._tell("loading")
        self.wanted = tuple(folders)
        for version, folder in folders.items():
            began, started = time.time(), time.monotonic()
            try:
                ours = config.model_format != "python"
                extra: dict[str, Any] = {"gpu": self._gpu} if ours else {"version": version}
                runtime = create(config, folder, **extra)
                runtime.load()
                # A user's class may keep the arrays it returns, and change them; frameworks' are new
                # each time.
                host = VersionHost(self.name, version, runtime, self._pool, ours)
                self._versions[version] = host
                loaded = time.monotonic()
                if checksum := self._held.checksums.get(version):
                    host.signature.properties["checksum"] = f"sha256:{checksum}"
                _batches(config, host.signature.inputs)
                if config.warm_up and host.signature.inputs:
                    _warmed_up(runtime, host.signature.inputs)
                warm = time.monotonic()
                done.append(Loaded(version, began, loaded - started, warm - loaded))
            except TandemError as error:
                raise ConfigError(f"model '{self.name}' version {version}: {error}") from error
            # Nobody cancels or ends a thread: CancelledError and SystemExit are the model's own, too.
            except BaseException as error:
                raise ConfigError(
                    f"model '{self.name}' version {version}: {described(error)}"
                ) from error
        self._sources = stamps(config.class_path) if config.class_path else {}
        return done

    def _alone(self) -> dict[str, Path | None]:
        """The one version of a class without files."""
        versions = self.config.versions
        return {versions[0] if isinstance(versions, list) else "1": None}

    def changed(self) -> bool:
        """Whether what was loaded isn't what there is now, the user's modules included. Blocks."""
        uri = self.config.storage_uri
        try:
            now = state(uri, self.config.versions) if uri else {}
        except (ConfigError, OSError):
            return True  # loading will say what is wrong
        return (
            set(self.wanted) != self._versions.keys()
            or now != self._held.state
            or changed(self._sources)
        )

    def give_up(self) -> None:
        """Nobody wants it any more: what is being fetched for it needn't be."""
        self._stop.set()

    @property
    def trouble(self) -> str:
        """Why it refuses predictions; '' while it doesn't."""
        return self._pool.trouble

    @property
    def versions(self) -> Mapping[str, VersionHost]:
        """What was loaded, oldest first."""
        return self._versions

    def targets(self) -> dict[str, Target]:
        """Its versions as the data plane takes them."""
        return {
            version: Target(predicts=host, uncancellable=host.uncancellable)
            for version, host in self._versions.items()
        }

    def describe(self, batching: Batching | None, in_flight: int) -> ModelDescription:
        """The description that the data plane works with."""
        return ModelDescription(
            name=self.name,
            platform=self.config.model_format,
            versions={version: host.signature for version, host in self._versions.items()},
            max_batch_size=batching.max_batch_size if batching else 0,
            max_latency=batching.max_latency if batching else 0,
            in_flight=in_flight,
            piece=0 if batching or self.config.model_format not in _ROW_BY_ROW else _PIECE,
        )

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch on one of them; VersionGone when it isn't there."""
        host = self._versions.get(version)
        if host is None:
            raise VersionGone(f"model '{self.name}' has no version '{version}'")
        return await host.predict(inputs, parameters)

    def recipe(self, version: str) -> bytes:
        """As VersionHost's; VersionGone when it isn't there. Blocks."""
        host = self._versions.get(version)
        if host is None:
            raise VersionGone(f"model '{self.name}' has no version '{version}'")
        return host.recipe()

    def close(self) -> None:
        """Give everything back once running predictions are done. Blocks."""
        self.give_up()
        self._pool.shutdown(wait=True)
        for host in self._versions.values():
            host.close()
        self._versions.clear()
        self._held.release()


def origin(error: BaseException) -> BaseException | None:
    """What an error of ours came from, where that is somebody else's and its traceback worth showing."""
    found: BaseException | None = error
    while isinstance(found, TandemError):
        found = found.__cause__
    return found


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
