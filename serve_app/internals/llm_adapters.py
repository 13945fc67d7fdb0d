"""How Ray's LLM server is told of a LoRA adapter on disk. Imported only where vLLM is."""

from pathlib import Path
from typing import Any

from ray.llm._internal.common.models import global_id_manager
from ray.llm._internal.serve.core.configs.llm_config import DiskMultiplexConfig


def on_disk(name: str, folder: Path, context: int | None) -> Any:
    """The adapter in `folder`, by the name of its model; `context`: its own, in tokens."""
    return DiskMultiplexConfig(
        model_id=name,
        max_total_tokens=context,
        local_path=str(folder),
        lora_assigned_int_id=global_id_manager.next(),
    )
