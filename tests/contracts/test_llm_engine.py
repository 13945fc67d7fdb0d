"""Ray's vLLM engine, which starts vLLM's."""

import inspect

import pytest

from tests.contracts.conftest import NEEDS
from tests.contracts.engine import CORES

pytest.importorskip("vllm", reason=NEEDS)


def test_names_and_what_they_take():
    from ray.llm._internal.serve.engines.vllm.vllm_engine import VLLMEngine

    start = VLLMEngine._start_async_llm_engine
    inspect.signature(start).bind(object(), object(), object(), object())
    names = start.__code__.co_varnames
    assert start.__code__.co_argcount == 4
    assert names[1:4] == ("vllm_engine_args", "vllm_engine_config", "placement_group")


def test_an_executor_without_workers():
    from vllm.v1.executor.abstract import Executor
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    assert issubclass(UniProcExecutor, Executor)


def test_a_parallel_config_takes_an_executor():
    from vllm.config import ParallelConfig

    from serve_app.internals.llm_engine import compute_in_process

    parallel = ParallelConfig()
    assert parallel.world_size == 1
    compute_in_process(parallel)
    assert parallel.distributed_executor_backend.__name__ == "UniProcExecutor"


def test_the_model_computes_in_the_engine_s_process(engine):
    assert engine("engine", "workers") == []


def test_the_first_bundle_says_on_how_many_cores(engine):
    assert engine("engine", "threads") == str(CORES)
