"""A model for batches whose rows take their time."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml


def config(folder: Path, kind: str) -> Path:
    """A Serve config with one model of these, `m`, in the Router."""
    model = {"name": "m", "modelFormat": "python", "class": f"tests.serve.batches:{kind}"}
    router = {"name": "Router", "user_config": {"models": [model]}}
    app = {"name": "tandem", "route_prefix": "/", "import_path": "serve_app.app:build_router"}
    text = yaml.safe_dump({"applications": [{**app, "deployments": [router]}]})
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


class Slow:
    """A batch of any size takes 20 ms; `bad` texts are refused."""

    def predict(self, inputs: dict[str, np.ndarray], parameters: dict[str, Any]) -> dict[str, Any]:
        """How long each text is."""
        time.sleep(0.02)
        texts = [item.decode() for item in inputs["text"]]
        if any("bad" in text for text in texts):
            raise ValueError("a bad one")
        return {"length": np.array([len(text) for text in texts], np.int64)}


class Deadly(Slow):
    """Some texts end the process."""

    def predict(self, inputs: dict[str, np.ndarray], parameters: dict[str, Any]) -> dict[str, Any]:
        """As any other, or not at all."""
        import os

        if any(b"die" in item for item in inputs["text"]):
            os._exit(9)
        return super().predict(inputs, parameters)
