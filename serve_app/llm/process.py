"""Where an engine's model computes when it has no GPU. Imported only where vLLM is."""

import math
import os
from typing import Any

from serve_app.config import RemoteModel
from serve_app.internals.llm_engine import Engine, compute_in_process

CHOICE = "distributed_executor_backend"


class OneProcess(Engine):
    """Ray's engine, whose model computes in the engine's own process.

    It has as many threads as the model asks for cores. Ray asks vLLM for a worker process beside
    it, and those two wait for one another by spinning, each on a core, the worker bound to one:
    whoever else is on these cores starves (docs/performance.md).
    """

    def before_start(self, parallel: Any) -> None:
        """A model on one process gets the engine's own."""
        if parallel.world_size == 1:
            compute_in_process(parallel)
            # Before the process starts that reads it. Ray has written 1 there, whatever is asked for.
            os.environ["OMP_NUM_THREADS"] = str(max(1, math.floor(self.cores)))


def engine_class(config: RemoteModel) -> type[OneProcess] | None:
    """The engine for `config`; None is Ray's own, with workers."""
    on_cpu = not config.resources.num_gpus
    return OneProcess if on_cpu and config.engine.get(CHOICE, "uni") == "uni" else None
