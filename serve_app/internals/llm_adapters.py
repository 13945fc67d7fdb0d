"""How Ray's LLM library finds LoRA adapters in a bucket and loads them. Imported only where vLLM is."""

from typing import Any

from ray.llm._internal.common.utils.lora_utils import get_lora_model_ids
from ray.llm._internal.serve.utils.lora_serve_utils import LoraModelLoader


class Loader(LoraModelLoader):  # type: ignore[misc]
    """Ray's loader, into `folder`; `settings` are Ray's, which makes the loader itself."""

    def __init__(self, folder: str, **settings: Any) -> None:
        super().__init__(folder, **settings)


def adapters_in(bucket: str, model: str) -> list[str]:
    """The adapters that the bucket has, as names of models. Blocks, and raises what its client does."""
    return list(get_lora_model_ids(bucket, model))
