"""Token by token what `transformers.generate` says of the same weights, in a process without vLLM."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.llm.conftest import NEEDS
from tests.llm.serving import ADAPTER, ALPHA, MODEL, RANK, WEIGHTS

pytest.importorskip("vllm", reason=NEEDS)

PROMPTS = [
    "Recite the Zen of Python.", "What is the iris data set?", "Beautiful is", "x", "0 1 2",
    "Ünïcode — 漢字", "Describe digits. " * 20,
]  # fmt: skip
TOKENS = 40
_REFERENCE = """
import json, sys, torch, transformers
from safetensors.torch import load_file
folder, adapter, scale, prompts, tokens = json.loads(sys.stdin.read())
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
if adapter:
    parts, weights = load_file(adapter), model.state_dict()
    for key, a in parts.items():
        if key.endswith("lora_A.weight"):
            name = key.removeprefix("base_model.model.").replace("lora_A.", "")
            weights[name] += scale * parts[key.replace("lora_A", "lora_B")] @ a
found = []
for prompt in prompts:
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    mask = torch.ones_like(ids)
    out = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens)
    found.append(out[0, ids.shape[1]:].tolist())
print(json.dumps(found))
"""


def reference(adapter: str = "") -> list[list[int]]:
    asked = [str(WEIGHTS), adapter, ALPHA / RANK, PROMPTS, TOKENS]
    done = subprocess.run(
        [sys.executable, "-c", _REFERENCE],
        input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    found: list[list[int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def answered(http: Any, model: str) -> list[list[int]]:
    asked = {"model": model, "prompt": PROMPTS, "temperature": 0, "max_tokens": TOKENS}
    answer = http.post("/v1/completions", json={**asked, "return_token_ids": True}).json()
    return [choice["token_ids"] for choice in answer["choices"]]


def test_greedy_is_what_transformers_says(http: Any) -> None:
    expected = reference()
    assert any(len(tokens) == TOKENS for tokens in expected)
    assert answered(http, MODEL) == expected


def test_so_is_an_adapter_s(http: Any, llm: Any) -> None:
    expected = reference(str(llm.config.parent / "adapter" / "adapter_model.safetensors"))
    assert answered(http, ADAPTER) == expected != reference()
