"""Ray's vLLM engine, its start under a public name. Imported only where vLLM is."""

from typing import Any

from ray.llm._internal.serve.engines.vllm.vllm_engine import VLLMEngine


class Engine(VLLMEngine):  # type: ignore[misc]
    """Ray's, which says when vLLM is about to start."""

    def before_start(self, parallel: Any) -> None:
        """`parallel` is vLLM's ParallelConfig, which may still be changed."""

    @property
    def cores(self) -> float:
        """Of the first bundle, which holds the engine and its model where there are no GPUs."""
        (bundle,) = self.llm_config.placement_group_config["bundles"]
        return float(bundle["CPU"])

    def _start_async_llm_engine(self, arguments: Any, config: Any, group: Any) -> Any:
        self.before_start(config.parallel_config)
        return super()._start_async_llm_engine(arguments, config, group)


def compute_in_process(parallel: Any) -> None:
    """Have the model compute in the engine's own process."""
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    # The class, as vLLM for the CPU takes the word "uni" for "mp".
    parallel.distributed_executor_backend = UniProcExecutor
