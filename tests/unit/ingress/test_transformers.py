"""Classes written for KServe around a model, asked as KServe's server asks them."""

import asyncio
import base64
import re

import pytest

from serve_app.config import Limits, RouterUserConfig, parse
from serve_app.config.transformer import Transformer
from serve_app.core import later
from serve_app.core.graphs.serve import Graphs
from serve_app.core.graphs.transformers import Transformers
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import inference_pb2 as pb
from serve_app.runtimes.transformer import KServeTransformer
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.ingress.transformer_module import MODULE
from tests.unit.planes import Raises, served
from tests.unit.waiting import until

TEXT = base64.b64encode(bytes([1, 2])).decode()
V1 = {"instances": [{"image": {"b64": TEXT}}]}
ROW = {"instances": [[1, 2]]}
V2_TEXT = {"inputs": [{"name": "any", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]}
V2 = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


@pytest.fixture
def module(write_module):
    return write_module(MODULE)


class Kept:
    """Work that a Router does beside its requests."""

    def __init__(self) -> None:
        self.tasks = []

    def __call__(self, work) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def done(self) -> None:
        await asyncio.gather(*self.tasks)
        self.tasks.clear()


def entry(module, name, kind, **more):
    return parse(Transformer, {"name": name, "class": f"{module}:{kind}", "predictor": "m", **more})


@pytest.fixture
async def transformers(the_plane, module):
    """Those that are asked below, and what serves them."""
    served(the_plane, "away", backend=Raises(InvalidArgument("too small")))
    spawn = Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    made.configure(
        [
            entry(module, "pixels", "Pixels"),
            entry(module, "pixels2", "Pixels", predictorProtocol="v2"),
            entry(module, "waits", "Waits"),
            entry(module, "plain", "Plain", options={"factor": 3}),
            entry(module, "dicts", "Dicts", predictorProtocol="v2"),
            entry(module, "dicts1", "Dicts"),
            entry(module, "wrong", "Wrong"),
            entry(module, "odd", "Odd"),
            entry(module, "away-too", "Waits", predictor="away"),
            entry(module, "nobody", "Waits", predictor="none"),
        ]
    )
    yield made, spawn
    await spawn.done()
    made.configure([])


async def v1(http, name, body, **headers):
    return await http.post(f"/v1/models/{name}:predict", json=body, headers=headers)


async def v2(http, name, body, **headers):
    return await http.post(f"/v2/models/{name}/infer", json=body, headers=headers)


@pytest.mark.parametrize(
    ("name", "body", "answer"),
    [
        ("pixels", V1, {"predictions": [{"y": [12.0, 22.0], "z": [1.0, 2.0]}]}),
        ("pixels2", V1, {"predictions": [[12.0, 22.0]], "name": "pixels2"}),
        ("waits", ROW, {"labels": [[12.0, 22.0]], "at": 0.5}),
        ("plain", ROW, {"predictions": [{"y": [32.0, 62.0], "z": [3.0, 6.0]}]}),
    ],
)
async def test_v1(http, transformers, name, body, answer):
    found = await v1(http, name, body)  # before it is loaded: it waits
    assert (found.status_code, found.json()) == (200, answer)


@pytest.mark.parametrize("name", ["pixels2", "waits"])
async def test_v2(http, transformers, name):
    found = await v2(http, name, V2_TEXT if name == "pixels2" else V2)
    assert found.status_code == 200, found.text
    outputs = {one["name"]: (one["datatype"], one["data"]) for one in found.json()["outputs"]}
    own = {"y": ("FP32", [12.0, 22.0]), "z": ("FP32", [1.0, 2.0])}
    assert outputs == (own if name == "pixels2" else {"best": ("BYTES", ["row 12"])})
    assert found.json()["model_name"] == name


async def test_grpc(the_plane, transformers):
    servicer = Servicer(the_plane, lambda: Limits())
    message = pb.ModelInferRequest(model_name="pixels2", id="7")
    tensor = message.inputs.add(name="any", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(TEXT.encode())
    context = Context()
    answer = await servicer.ModelInfer(message.SerializeToString(), context)
    found = pb.ModelInferResponse.FromString(answer.SerializeToString())
    assert (found.id, [one.name for one in found.outputs]) == ("7", ["y", "z"])
    assert [*found.outputs[0].contents.fp32_contents] == [12, 22]


@pytest.mark.parametrize(
    ("ask", "name", "body", "headers", "status", "said"),
    [
        (v1, "pixels", {"instances": [{"image": {"b64": "?"}}]}, {"x-user": "me"}, 400, "asked by me"),
        (v1, "pixels", {"instances": [{}]}, {}, 500, "transformer 'pixels' raised KeyError"),
        (v1, "wrong", ROW, {"how": "key"}, 500, "transformer 'wrong' raised KeyError"),
        (v1, "wrong", ROW, {"how": "exit"}, 500, "transformer 'wrong' raised SystemExit"),
        (v1, "odd", ROW, {"how": "object"}, 500, "is no JSON"),
        (v2, "odd", V2, {"how": "number"}, 500, "returned a int to a request of V2"),
        (v1, "odd", ROW, {"how": "shape"}, 500, "'odd' returned tensors that can't be read: ValueError"),
        (v2, "odd", V2, {"how": "shape"}, 500, "'odd' returned tensors that can't be read: ValueError"),
        (v2, "odd", V2, {"how": "half"}, 500, "'odd' returned tensors that can't be read: KeyError"),
        (v1, "odd", ROW, {"how": "name"}, 500, "can't be read: the name of one is a int"),
        (v2, "odd", V2, {"how": "name"}, 500, "can't be read: the name of one is a int"),
        (v1, "odd", ROW, {"how": "property"}, 500, "'odd' returned tensors that can't be read: LookupE"),
        (v2, "odd", V2, {"how": "property"}, 500, "'odd' returned tensors that can't be read: LookupE"),
        # Of a class without a preprocess, the client is to blame.
        (v1, "odd", [], {"how": "shape"}, 400, "the body must be a JSON object"),
        (v1, "odd", 3, {"how": "shape"}, 400, "the body must be a JSON object"),
        (v1, "away-too", ROW, {}, 400, "too small"),
        (v2, "away-too", V2, {}, 400, "too small"),
        (v1, "nobody", ROW, {}, 404, "no model 'none'"),
        (v2, "waits", V2_TEXT, {}, 400, "tensor 'x' is missing"),
    ],
)
async def test_what_goes_wrong(http, transformers, ask, name, body, headers, status, said):
    found = await ask(http, name, body, **headers)
    assert (found.status_code, said in found.text) == (status, True), found.text


@pytest.mark.parametrize(
    ("how", "got"),
    [
        ("array", {"y": [[12, 22]], "z": [[1, 2]]}), ("list", {"y": [[12, 22]], "z": [[1, 2]]}),
        ("large", {"y": [[12, 22]], "z": [[1, 2]]}), ("some", {"z": [[1, 2]]}),
    ],
)  # fmt: skip
async def test_a_dict_with_inputs_asks_by_v2_where_that_is_the_predictors_protocol(
    http, transformers, how, got
):
    found = await v1(http, "dicts", ROW, how=how)
    assert (found.status_code, found.json()) == (200, {"got": got}), found.text


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("none", "tensor 'x': data: required, but not there"),
        ("short", "tensor 'x': shape [1, 2] takes 2 elements, got 1"),
        ("object", "they are no JSON: Type is not JSON serializable: object"),
        ("number", "inputs must be a list, got a number"),
        ("odd", "FP99"),
    ],
)
async def test_what_such_a_dict_has_wrong_is_not_the_clients_fault(http, transformers, how, said):
    found = await v1(http, "dicts", ROW, how=how)
    why = "transformer 'dicts' returned tensors that can't be read: "
    assert (found.status_code, found.json()["error"].startswith(why)) == (500, True), found.text
    assert said in found.text


async def test_a_dict_is_of_v1_elsewhere(http, transformers):
    found = await v1(http, "dicts1", ROW, how="list")
    assert (found.status_code, "inputs[0]" in found.text) == (400, True), found.text


async def test_such_a_dict_may_hold_nan(http, transformers):
    found = await v1(http, "dicts", ROW, how="nan")
    assert str(found.json()["got"]["z"]) == "[[nan, 2.0]]"


async def test_the_class_asks_as_often_as_it_likes(http, transformers):
    before = (await http.get("/v2/models/m/stats")).json()["model_stats"]
    assert (await v1(http, "waits", ROW, twice="1")).status_code == 200
    after = (await http.get("/v2/models/m/stats")).json()["model_stats"]
    counted = [
        sum(one["inference_stats"]["success"]["count"] for one in each) for each in (before, after)
    ]
    assert counted[1] - counted[0] == 2


async def test_it_is_a_step_of_a_graph(http, the_plane, transformers):
    nodes = {"root": {"routerType": "Sequence", "steps": [{"serviceName": "pixels"}]}}
    config = parse(RouterUserConfig, {"graphs": [{"name": "g", "nodes": nodes}]})
    Graphs(the_plane).configure(config.graphs)
    found = await v1(http, "g", V1)
    assert found.json() == {"predictions": [{"y": [12.0, 22.0], "z": [1.0, 2.0]}]}


async def test_what_is_said_of_it(http, transformers):
    await transformers[1].done()
    assert (await http.get("/v2/models/pixels/ready")).status_code == 200
    assert (await http.get("/v2/models/nobody/ready")).status_code != 200
    about = (await http.get("/v2/models/pixels")).json()
    assert (about["platform"], about["inputs"]) == ("transformer", [])


async def test_a_class_that_cant_be_had(http, module, transformers, tmp_path):
    made, spawn = transformers
    before = [version.config for version in made._served.values()]
    (tmp_path / "needy.py").write_text("from kserve.storage import Storage\n")
    (tmp_path / "exits.py").write_text("exit(3)\n")
    cases = {
        "a": ("nothing_there:A", "can't be imported"),
        "b": (f"{module}:Nothing", "can't be imported"),
        "c": (f"{module}:np", "is no class"),
        "d": (f"{module}:PredictorProtocol", "neither preprocess nor postprocess"),
        "e": ("needy:Storage", "install it"),
        "f": ("exits:A", "SystemExit"),
    }
    wrong = [
        parse(Transformer, {"name": name, "class": path, "predictor": "m"})
        for name, (path, _) in cases.items()
    ]
    made.configure([*before, *wrong, entry(module, "g", "Plain", options={"name": "n", "x": 1})])
    await spawn.done()
    for name, (_, said) in cases.items():
        found = await v1(http, name, ROW)
        assert (found.status_code, said in found.json()["error"]) == (503, True), found.text
    assert (await v1(http, "plain", ROW)).status_code == 200


async def test_another_class_takes_its_place_when_it_can_be_had(http, module, transformers, tmp_path):
    made, spawn = transformers
    await spawn.done()
    file = tmp_path / f"{module}.py"
    file.write_text(MODULE.replace("factor=1", "factor=").replace("class Plain", "class  Plain"))
    made.read_again()
    await spawn.done()
    answers = (await v1(http, "plain", ROW)).json()["predictions"]
    assert answers[0]["z"] == [3, 6]  # the one before goes on
    file.write_text(MODULE.replace("self.factor * x", "2 * self.factor * x"))
    made.read_again()
    await spawn.done()
    answers = (await v1(http, "plain", ROW)).json()["predictions"]
    assert answers[0]["z"] == [6, 12]


async def test_one_that_needs_what_isnt_there_for_now(http, transformers, tmp_path, monkeypatch):
    monkeypatch.setattr(later, "FIRST_S", 1000)
    made, spawn = transformers
    (tmp_path / "late_service.py").write_text(
        "from pathlib import Path\n"
        "class Late:\n"
        "    def load(self):\n"
        f"        if not Path({str(tmp_path / 'up')!r}).exists():\n"
        "            raise ConnectionRefusedError(111, 'Connection refused')\n"
        "    def preprocess(self, payload, headers=None):\n"
        "        return payload\n"
    )
    made.configure([entry("late_service", "late", "Late"), entry("nothing", "never", "Never")])
    await spawn.done()
    reasons = {name: version.reason for name, version in made._served.items()}
    assert re.search(r"Connection refused; tried again in \d+ ", reasons["late"])
    assert "tried again" not in reasons["never"]
    monkeypatch.setattr(later, "FIRST_S", 0.02)
    made.read_again()
    await until(lambda: made._again._failures.get("late", 0) > 1)  # in vain
    (tmp_path / "up").touch()
    await until(lambda: not made._served["late"].reason_of_its_own)
    assert (await v1(http, "late", ROW)).status_code == 200
    assert not made._again._failures


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"transformers": [{"name": "t", "class": "a.b", "predictor": "m"}]}, "class"),
        ({"transformers": [{"name": "t", "class": "a:B", "predictor": "t"}]}, "a circle: t -> t"),
        ({"transformers": [{"name": "t", "class": "a:B", "predictor": "m"}] * 2}, "'t' is also"),
        ({"transformers": [{"name": "t", "class": "a:B", "predictor": "g"}], "graphs": [
            {"name": "g", "nodes": {"root": {"routerType": "Sequence",
                                             "steps": [{"serviceName": "t"}]}}}]}, "a circle: "),
        ({"transformers": [{"name": "t", "klass": "a:B", "predictor": "m"}]}, "did you mean"),
    ],
)  # fmt: skip
def test_configurations_that_are_refused(config, said):
    with pytest.raises(ConfigError, match=said):
        parse(RouterUserConfig, config)
