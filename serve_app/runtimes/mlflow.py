"""MLflow's models: a folder with an `MLmodel`, which says which of its files the model is.

MLflow itself isn't needed: the runtime of the first flavor that there is one for serves it.
"""

from pathlib import Path

from serve_app.config import ModelConfig
from serve_app.config.options import check_options
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.runtimes import mlmodel
from serve_app.runtimes.base import Runtime, create


class MlflowRuntime:
    """Hands the verbs to the flavor's runtime."""

    def __init__(self, config: ModelConfig, folder: Path | None, gpu: bool = False) -> None:
        self._config, self._folder, self._gpu = config, folder, gpu
        self._inner: Runtime | None = None

    def load(self) -> None:
        """Read MLmodel, then the model."""
        assert self._folder is not None  # the configuration requires storageUri
        about = mlmodel.read(self._folder)
        if about is None:
            raise ConfigError(f"{self._folder}: there is no {mlmodel.NAME}, which MLflow writes")
        try:
            check_options(about.model_format, self._config.options)
        except ValueError as error:
            raise ConfigError(f"options, of modelFormat {about.model_format}: {error}") from None
        config = self._config.model_copy(update={"model_format": about.model_format})
        self._inner = create(config, self._folder, gpu=self._gpu)
        self._inner.load()

    @property
    def _served(self) -> Runtime:
        assert self._inner is not None
        return self._inner

    def warm_up(self, inputs: Arrays) -> None:
        self._served.warm_up(inputs)

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        return self._served.predict(inputs, parameters)  # type: ignore[no-any-return]

    def metadata(self) -> VersionDescription:
        return self._served.metadata()

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()
