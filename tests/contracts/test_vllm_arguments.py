"""What vLLM takes, by its names."""

import dataclasses

import pytest

from tests.contracts.conftest import NEEDS

pytest.importorskip("vllm", reason=NEEDS)

# Those that a completion request made of a V2 one has.
ASKED = {
    "model", "prompt", "stream", "n", "max_tokens", "temperature", "top_p", "stop", "seed", "logprobs",
    "structured_outputs", "ignore_eos",
}  # fmt: skip


def test_engine_arguments():
    from serve_app.internals.vllm_arguments import engine_arguments

    names = engine_arguments()
    assert {"model", "served_model_name", "max_model_len", "max_loras", "max_cpu_loras"} <= names
    assert {"enable_lora", "kv_cache_memory_bytes", "distributed_executor_backend"} <= names


def test_arguments_of_the_front_end():
    from vllm.entrypoints.launchers.cli_args import FrontendArgs

    from serve_app.llm.arguments import FRONT

    assert set(FRONT) <= {field.name for field in dataclasses.fields(FrontendArgs)}


def test_an_adapter():
    from serve_app.internals.vllm_arguments import adapter

    made = adapter(name="a", path="/p")
    assert (made.name, made.path) == ("a", "/p")
    with pytest.raises(TypeError):
        adapter(nme="a", path="/p")


def test_request_parameters():
    from serve_app.internals.vllm_arguments import request_parameters

    assert set(request_parameters()) >= ASKED
