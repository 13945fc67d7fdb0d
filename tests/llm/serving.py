"""What the LLM tests serve: configs/llm.yaml, adapters of its model, an embedder out of a bucket."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file, save_file

from tests.server import ROOT
from tests.storage.bucket import S3Bucket

CONFIG = ROOT / "configs" / "llm.yaml"
MODEL, ADAPTER, EMBEDDER = "tiny", "tiny-other", "embedder"
IN_BUCKET, BROKEN = f"{MODEL}:other", f"{MODEL}:broken"
WEIGHTS = ROOT / ".models" / "llm" / "1"
RANK, ALPHA = 4, 8
_TARGETS = ("q_proj", "v_proj")


def write_config(folder: Path, bucket: S3Bucket) -> Path:
    """The config, with the adapter beside it, and once more in the bucket beside a broken one."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    _, tiny = config["applications"]
    write_adapter(folder / "adapter")
    tiny["args"]["engine"] |= {
        "enable_lora": True,
        "max_lora_rank": 8,
        "lora_modules": [{"name": ADAPTER, "path": str(folder / "adapter")}],
    }
    bucket.put_folder(folder / "adapter", "adapters/other")
    broken = folder / "broken"
    broken.mkdir()
    shutil.copy(folder / "adapter" / "adapter_config.json", broken)
    tiny["args"]["llm"] = {
        "adapterPath": bucket.put_folder(broken, "adapters/broken").rpartition("/")[0]
    }
    engine: dict[str, Any] = {
        "runner": "pooling",
        "dtype": "float32",
        "enforce_eager": True,
        "max_model_len": 256,
    }
    engine |= {"kv_cache_memory_bytes": 2**26, "pooler_config": {"pooling_type": "MEAN"}}
    config["applications"].append(
        {
            "name": EMBEDDER,
            "route_prefix": None,
            "import_path": "serve_app.app:build_model",
            "args": {
                "modelFormat": "vllm",
                "storageUri": bucket.put_folder(ROOT / ".models" / "sentences" / "1", "sentences"),
                "resources": {"num_cpus": 0.5},
                "llm": {"routing": "prefix"},
                "engine": engine,
            },
        }
    )
    path = folder / "llm.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def write_adapter(folder: Path) -> None:
    """In PEFT's format: random, and strong enough to change what is said."""
    folder.mkdir()
    random = np.random.default_rng(7)
    tensors = {}
    for name, weight in load_file(WEIGHTS / "model.safetensors").items():
        layer = name.removesuffix(".weight")
        if layer.endswith(_TARGETS):
            rows, columns = weight.shape
            key = f"base_model.model.{layer}"
            tensors[f"{key}.lora_A.weight"] = random.normal(0, 0.3, (RANK, columns)).astype(np.float32)
            tensors[f"{key}.lora_B.weight"] = random.normal(0, 0.3, (rows, RANK)).astype(np.float32)
    assert tensors
    save_file(tensors, folder / "adapter_model.safetensors")
    about = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(WEIGHTS),
        "r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.0, "bias": "none",
        "target_modules": list(_TARGETS),
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(about))
