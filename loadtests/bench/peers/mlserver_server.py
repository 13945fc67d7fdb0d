"""MLServer: `python -m loadtests.bench.peers.mlserver_server --config FILE ...`.

Stock is MLServer's defaults. Tuned writes no access log, serves no metrics, compresses no answer
and batches the text models and its own runtimes'.
"""

import asyncio
from typing import Any

from mlserver import MLServer, ModelSettings, Settings
from mlserver.settings import ModelParameters
from mlserver.utils import install_uvloop_event_loop

from loadtests.bench.peers.mlserver_model import HostedModel
from loadtests.bench.tabular import file
from loadtests.hosted import LOOPBACK, MESSAGE_BYTES, close, command_line, load, of_their_own
from serve_app.config import ModelConfig
from serve_app.ports import free_port
from serve_app.runtimes.host import ModelHost

# `debug` is what turns on the access logs of both protocols.
TUNED: dict[str, Any] = {"debug": False, "metrics_endpoint": None, "gzip_enabled": False}
BATCH_SECONDS = 0.005  # a batch waits that long for company, also while the model is idle
ROWS_BATCH_SECONDS = 0.0005  # of its own runtimes: longer brings them no more requests, only latency


def main() -> None:
    """Serve until SIGTERM."""
    options = command_line("mlserver_server")
    loaded = load(options.config)
    settings = Settings(
        host=LOOPBACK,
        http_port=options.http_port,
        grpc_port=options.grpc_port,
        metrics_port=free_port(),
        grpc_max_message_length=MESSAGE_BYTES,
        # A worker would add a hop between processes to every request, and a copy of every tensor.
        parallel_workers=0,
        **(TUNED if options.tuned else {}),
    )
    models = [_settings(host, options.tuned) for host in loaded.values()]
    models += [_of_mlserver(config, options.tuned) for config in of_their_own(options.config)]
    install_uvloop_event_loop()  # as `mlserver start` does
    try:
        asyncio.run(_serve(settings, models))
    finally:
        close(loaded.values())


def _of_mlserver(config: ModelConfig, tuned: bool) -> ModelSettings:
    """With the runtime that MLServer has for it."""
    kinds = {"sklearn": "mlserver_sklearn.SKLearnModel", "xgboost": "mlserver_xgboost.XGBoostModel"}
    uri = str(file(config.model_format, config.storage_uri or ""))
    return ModelSettings(
        name=config.name,
        implementation=kinds[config.model_format],
        parameters=ModelParameters(uri=uri),
        max_batch_size=config.batching.max_batch_size if config.batching and tuned else 0,
        max_batch_time=ROWS_BATCH_SECONDS if config.batching and tuned else 0,
    )


async def _serve(settings: Settings, models: list[ModelSettings]) -> None:
    await MLServer(settings).start(models)


def _settings(host: ModelHost, tuned: bool) -> ModelSettings:
    batching = host.config.batching
    # The others answer in less time than a batch would wait.
    batched = tuned and batching and host.config.model_format == "transformers"
    return ModelSettings(
        name=host.name,
        platform=host.config.model_format,
        implementation=HostedModel,
        parameters=ModelParameters(extra={"host": host}),
        max_batch_size=batching.max_batch_size if batching and batched else 0,
        max_batch_time=BATCH_SECONDS if batched else 0,
    )


if __name__ == "__main__":
    main()
