"""How Ray's LLM server is told of adapters."""

import inspect
from pathlib import Path

import pytest

from tests.contracts.conftest import NEEDS

pytest.importorskip("vllm", reason=NEEDS)


def test_an_adapter_on_disk():
    from serve_app.internals.llm_adapters import on_disk

    one, other = (
        on_disk(f"m:{name}", Path("/a/folder"), context) for name, context in (("x", None), ("y", 9))
    )
    assert (one.model_id, one.local_path, one.max_total_tokens) == ("m:x", "/a/folder", None)
    assert other.max_total_tokens == 9
    assert one.lora_assigned_int_id != other.lora_assigned_int_id


def test_what_the_server_asks_of_a_loader():
    """Ours stands in the place of Ray's: made and called alike."""
    from ray.llm._internal.serve.utils.lora_serve_utils import LoraModelLoader

    from serve_app.llm.adapters import Adapters

    inspect.signature(LoraModelLoader).bind(download_timeout_s=None, max_tries=1)
    Adapters("s3://b/adapters", download_timeout_s=None, max_tries=1)
    for one in (LoraModelLoader, Adapters):
        inspect.signature(one.load_model_from_config).bind(
            object(), lora_model_id="a:x", llm_config=object()
        )


def test_where_adapters_are_is_ours_to_know():
    from ray.serve.llm import LLMConfig

    made = LLMConfig(
        model_loading_config={"model_id": "m", "model_source": "/a/folder"},
        lora_config={"max_num_adapters_per_replica": 2},
    )
    assert made.multiplex_config().max_num_models_per_replica == 2
