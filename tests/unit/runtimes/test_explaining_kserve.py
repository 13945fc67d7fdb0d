"""Classes that were written as KServe's explainers."""

import asyncio
import json
import sys
import types

import numpy as np
import pytest

from serve_app.config import RemoteModel, named, parse
from serve_app.errors import ConfigError, InvalidArgument, ModelFailed, Unavailable
from serve_app.explainers.asking import reach
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.host import ModelHost
from tests.unit.explainers.asked import Model

CLASS = """
from typing import Dict

import kserve
import numpy as np
from kserve.errors import InvalidInput


class Own(kserve.Model):
    def __init__(self, name: str, predictor_host: str, scale: float = 1.0):
        super().__init__(name)
        self.predictor_host, self.scale = predictor_host, scale
        self.load()

    def preprocess(self, payload: Dict, headers: Dict[str, str] = None) -> Dict:
        if any(min(row) < 0 for row in payload["instances"]):
            raise InvalidInput("instances: no negative numbers")
        return payload

    async def explain(self, payload: Dict, headers: Dict[str, str] = None) -> Dict:
        answer = await self.predict({"instances": np.array(payload["instances"]) * self.scale})
        whole = answer["predictions"]
        return {"explanations": {"sums": np.array(whole), "of": payload["instances"]}, self.name: 1}
"""


@pytest.fixture
def load(monkeypatch):
    made = []

    def loaded(text: str = CLASS, **options):
        module = types.ModuleType("of_kserve")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        from serve_app.runtimes.kserve_api.stand_in import stand_in

        stand_in()
        exec(text, module.__dict__)
        args = {"explains": "m", "modelFormat": "python", "class": "of_kserve:Own", "options": options}
        made.append(ModelHost(named(parse(RemoteModel, args), "why"), False))
        made[-1].load()
        return made[-1]

    yield loaded
    for one in made:
        one.close()


@pytest.fixture
def model():
    made = Model(lambda inputs: inputs["x"].sum(axis=1))
    made.about = VersionDescription([TensorSpec("x", "FP64", (-1, 2))], [TensorSpec("y", "FP64", (-1,))])
    reach(made)
    return made


async def test_a_document_in_and_out(load, model):
    host = load(scale=10.0)
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = await host.predict("1", {"x": rows}, {"_version": "5"})
    assert list(found) == ["explanation"]
    assert json.loads(found["explanation"][0]) == {
        "explanations": {"sums": [30.0, 70.0], "of": rows.tolist()}, "why": 1,
    }  # fmt: skip
    assert model.versions == {"5"}


async def test_several_inputs_are_objects(load, model):
    text = CLASS.replace("min(row) < 0", "row['a'] < 0").replace(
        "answer = await self.predict", "return payload\n        answer = await self.predict"
    )
    texts = np.array([b"x"], dtype=object)
    found = await load(text).predict("1", {"a": np.array([1]), "b": texts}, {})
    assert json.loads(found["explanation"][0]) == {"instances": [{"a": 1, "b": "x"}]}


async def test_whose_fault_it_is(load, model):
    host = load()
    with pytest.raises(InvalidArgument, match="no negative numbers"):
        await host.predict("1", {"x": np.array([[-1.0, 0.0]])}, {})
    with pytest.raises(InvalidArgument, match=r"one of instances and inputs"):  # as the model says it
        await load(CLASS.replace('{"instances": np', '{"instance": np')).predict(
            "1", {"x": np.array([[1.0, 0.0]])}, {}
        )
    away = CLASS.replace(
        "raise InvalidInput", "import kserve.errors as e\n            raise e.ModelNotReady"
    )
    with pytest.raises(Unavailable, match="Model with name instances: no negative numbers is not ready"):
        await load(away).predict("1", {"x": np.array([[-1.0, 0.0]])}, {})
    broken = CLASS.replace('whole = answer["predictions"]', "raise KeyError('x')")
    with pytest.raises(ModelFailed, match="raised KeyError"):
        await load(broken).predict("1", {"x": np.array([[1.0, 0.0]])}, {})


@pytest.mark.parametrize("kind", ["StopIteration", "SystemExit", "KeyboardInterrupt"])
async def test_exceptions_that_no_future_takes(load, model, kind):
    plain = CLASS.replace("async def explain", "def explain").replace(
        "answer = await self.predict", f"raise {kind}()\n        answer = self.predict"
    )
    host = load(plain)
    with pytest.raises(ModelFailed, match="raised"):
        async with asyncio.timeout(30):
            await host.predict("1", {"x": np.array([[1.0, 0.0]])}, {})


def test_one_that_explains_nothing(load, model):
    with pytest.raises(ConfigError, match="has no explain"):
        load(CLASS.replace("async def explain", "async def explains"))
