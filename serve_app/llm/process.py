"""Where an engine's model computes when it has no GPU. Imported only where vLLM is."""

import math
import os
from typing import Any

from ray.llm._internal.serve.engines.vllm.vllm_engine import VLLMEngine

from serve_app.config import RemoteModel

CHOICE = "distributed_executor_backend"


class OneProcess(VLLMEngine):  # type: ignore[misc]
    """Ray's engine, whose model computes in the engine's own process.

    It has as many threads as the model asks for cores. Ray asks vLLM for a worker process beside
    it, and those two wait for one another by spinning, each on a core, the worker bound to one:
    whoever else is on these cores starves (docs/performance.md).
    """

    def _start_async_llm_engine(self, arguments: Any, config: Any, group: Any) -> Any:
        from vllm.v1.executor.uniproc_executor import UniProcExecutor

        if config.parallel_config.world_size == 1:
            # The class, as vLLM for the CPU takes the word "uni" for "mp".
            config.parallel_config.distributed_executor_backend = UniProcExecutor
            # Before the process starts that reads it. Ray has written 1 there, whatever is asked for.
            (bundle,) = self.llm_config.placement_group_config["bundles"]
            os.environ["OMP_NUM_THREADS"] = str(max(1, math.floor(bundle["CPU"])))
        return super()._start_async_llm_engine(arguments, config, group)


def engine_class(config: RemoteModel) -> type[OneProcess] | None:
    """The engine for `config`; None is Ray's own, with workers."""
    on_cpu = not config.resources.num_gpus
    return OneProcess if on_cpu and config.engine.get(CHOICE, "uni") == "uni" else None
