"""How Ray's LLM library loads adapters."""

import inspect

import pytest

from tests.contracts.conftest import NEEDS

pytest.importorskip("vllm", reason=NEEDS)


def test_a_loader_has_a_folder():
    from serve_app.internals.llm_adapters import Loader

    loader = Loader("/a/folder", download_timeout_s=3.0, max_tries=2)
    assert loader.lora_root == "/a/folder"
    assert (loader.download_timeout_s, loader.max_tries) == (3.0, 2)


def test_the_folder_is_where_adapters_go():
    from serve_app.llm.adapters import Adapters

    one, other = Adapters(), Adapters()
    assert one._model_dir_path("a:x").startswith(one.lora_root)
    assert one._model_dir_path("a:x") != other._model_dir_path("a:x")


def test_what_the_server_gives_a_loader():
    from ray.llm._internal.serve.utils.lora_serve_utils import LoraModelLoader

    inspect.signature(LoraModelLoader).bind("/folder", download_timeout_s=None, max_tries=1)
    inspect.signature(LoraModelLoader.load_model_from_config).bind(
        object(), lora_model_id="a:x", llm_config=object()
    )


def test_adapters_are_listed_by_bucket_and_model():
    from ray.llm._internal.common.utils.lora_utils import get_lora_model_ids

    inspect.signature(get_lora_model_ids).bind("s3://b/adapters", "m")


def test_names_of_adapters(monkeypatch):
    """As the names of models, which is how they are asked for."""
    from ray.llm._internal.common.utils import lora_utils

    from serve_app.internals.llm_adapters import adapters_in

    found = ["x", "y"]
    listed = lambda *_, **__: found  # noqa: E731
    monkeypatch.setattr(lora_utils.CloudFileSystem, "list_subfolders", listed)
    assert adapters_in("s3://b/adapters", "m") == ["m:x", "m:y"]
