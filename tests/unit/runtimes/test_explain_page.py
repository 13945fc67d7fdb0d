"""docs/explain.md: its program and its configurations, with the answers that it shows."""

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from serve_app.config import InlineModel, RemoteModel, named, parse
from serve_app.core.tables import asking_for
from serve_app.core.target import Target
from serve_app.explainers.asking import reach
from serve_app.protocol import v1_codec
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.rest_codec import tensors_from
from serve_app.protocol.tensors import Arrays, InferResponse
from serve_app.runtimes.host import ModelHost

PAGE = (Path(__file__).parents[3] / "docs/explain.md").read_text()
BLOCKS = re.findall(r"```(python|yaml|json)\n(.*?)```", PAGE, re.DOTALL)


def block(language: str, part: str) -> str:
    return next(text for kind, text in BLOCKS if kind == language and part in text)


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """The model of the page, made by its program, as explainers ask it."""
    monkeypatch.chdir(tmp_path)
    exec(block("python", "load_iris"), {})
    config = yaml.safe_load(block("yaml", "name: flowers-explainer"))
    router, _ = config["applications"]
    (entry,) = router["deployments"][0]["user_config"]["models"]
    host = ModelHost(parse(InlineModel, entry))
    host.load()
    reach(_Here(host))
    yield config
    host.close()


class _Here:
    """A model of this process; implements `serve_app.explainers.asking.Models`."""

    def __init__(self, host: ModelHost) -> None:
        (self._version,) = host.versions.values()

    def describe(self, version: str, seconds: float) -> VersionDescription:
        return self._version.signature

    def predict(self, version: str, inputs: Arrays, output: str, seconds: float) -> Arrays:
        parameters = asking_for([output], {}) if output else {}
        return self._version._runtime.predict(inputs, parameters)  # type: ignore[return-value]


async def explained(args: dict[str, Any], rows: list[Any], name: str = "input-0") -> list[Any]:
    """As V1 answers it."""
    host = ModelHost(named(parse(RemoteModel, args), "why"))
    host.load()
    target: Target = host.targets()["1"]
    found = await target.predicts.predict({name: np.array(rows)}, {})
    host.close()
    response = InferResponse("m", "1", "", tensors_from(found, list(found)))
    return json.loads(v1_codec.encode_response(response, True, "explanations"))["explanations"]


def close(found: Any, shown: Any) -> bool:
    """Texts and counts as they stand, numbers as closely as the page shows them."""
    if isinstance(shown, dict):
        return found.keys() == shown.keys() and all(close(found[key], shown[key]) for key in shown)
    if isinstance(shown, list):
        return len(found) == len(shown) and all(map(close, found, shown))
    return found == pytest.approx(shown, abs=5e-3) if isinstance(shown, float) else found == shown


async def test_lime(flowers):
    args = flowers["applications"][1]["args"]
    found = await explained(args, [[5.9, 3.0, 4.2, 1.5]])
    shown = json.loads(block("json", "fidelity"))["explanations"]
    assert close(found, shown), found


async def test_shap(flowers):
    args = yaml.safe_load(block("yaml", "method: shap"))[0]["args"]
    found = await explained(args, [[5.9, 3.0, 4.2, 1.5]])
    shown = json.loads(block("json", '"probability"'))["explanations"]
    assert close(found, shown), found
    (one,) = found
    assert sum(one["attributions"]) + one["base_value"] == pytest.approx(one["prediction"])


async def test_a_class(flowers, monkeypatch):
    module = types.ModuleType("why")
    exec(block("python", "class Ablation"), module.__dict__)
    monkeypatch.setitem(sys.modules, "why", module)
    args = yaml.safe_load(block("yaml", "why:Ablation"))[0]["args"]
    found = await explained(args, [[5.9, 3.0, 4.2, 1.5]])
    assert np.shape(found) == (1, 4)
    assert np.abs(found[0][:2]).max() < np.abs(found[0][2:]).max()
