"""The versions of one model, loaded in this process. The Router hosts inline models, a ModelReplica
its own; both through `ModelHost`."""

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from serve_app.config import Batching, ModelConfig
from serve_app.core.target import Target
from serve_app.errors import ConfigError, NotFound, TandemError
from serve_app.protocol.elements import to_array
from serve_app.protocol.metadata import ModelDescription, example_inputs
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec
from serve_app.repository.storage import local_folder
from serve_app.repository.versions import version_folders
from serve_app.runtimes.base import create
from serve_app.runtimes.version_host import VersionHost

log = logging.getLogger("tandem")


@dataclass(frozen=True)
class Loaded:
    """How long a version took: `began` as `time.time()`, the rest in seconds."""

    version: str
    began: float
    load: float
    warm_up: float


class ModelHost:
    """Loads and closes the versions of one model, which share its threads."""

    def __init__(self, config: ModelConfig, gpu: bool = False) -> None:
        self.config = config
        self.name = config.name or ""
        self._gpu = gpu
        self._versions: dict[str, VersionHost] = {}
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix=f"model-{self.name}")

    def load(self) -> list[Loaded]:
        """Load and warm up every version; ConfigError names model and version. Blocks."""
        done = []
        config = self.config
        folders: Mapping[str, Path | None]
        if config.storage_uri:
            folders = version_folders(local_folder(config.storage_uri), config.versions)
        else:
            folders = {config.versions[0] if isinstance(config.versions, list) else "1": None}
        for version, folder in folders.items():
            began, started = time.time(), time.monotonic()
            try:
                extra = {"gpu": self._gpu} if config.model_format != "python" else {}
                runtime = create(config, folder, **extra)
                runtime.load()
                # A user's class may keep the arrays it returns, and change them; frameworks' are new
                # each time.
                host = VersionHost(
                    self.name, version, runtime, self._pool, config.model_format != "python"
                )
                self._versions[version] = host
                loaded = time.monotonic()
                if config.warm_up and host.signature.inputs:
                    runtime.warm_up(example_arrays(host.signature.inputs))
                warm = time.monotonic()
                done.append(Loaded(version, began, loaded - started, warm - loaded))
            except TandemError as error:
                raise ConfigError(f"model '{self.name}' version {version}: {error}") from error
            # Nobody cancels or ends a thread: CancelledError and SystemExit are the model's own, too.
            except BaseException as error:
                raise ConfigError(
                    f"model '{self.name}' version {version}: {type(error).__name__}: {error}"
                ) from error
        return done

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
        )

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch on one of them; NotFound when it isn't there."""
        host = self._versions.get(version)
        if host is None:
            raise NotFound(f"model '{self.name}' has no version '{version}'")
        return await host.predict(inputs, parameters)

    def close(self) -> None:
        """Give everything back once running predictions are done. Blocks."""
        self._pool.shutdown(wait=True)
        for host in self._versions.values():
            host.close()
        self._versions.clear()


def example_arrays(specs: list[TensorSpec]) -> Arrays:
    """Example inputs as arrays, for warm-up."""
    return {
        entry["name"]: to_array(entry["data"], entry["datatype"], tuple(entry["shape"]), entry["name"])
        for entry in example_inputs(specs)
    }
