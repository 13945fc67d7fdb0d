"""A transformer asked why: preprocess, the explanation, postprocess, as KServe goes through a class."""

import json

import numpy as np
import pytest

from serve_app.core.graphs.transformers import Transformers
from serve_app.core.target import Target
from serve_app.errors import InvalidArgument
from serve_app.protocol.metadata import VersionDescription
from serve_app.runtimes.transformer import KServeTransformer
from tests.unit.ingress.explaining_transformer import MODULE
from tests.unit.ingress.test_transformers import V2, Kept, entry
from tests.unit.planes import description

V1 = {"instances": [{"row": [1, 2]}]}


class Why:
    """The explainer of a model: twice its input, or one document."""

    def __init__(self) -> None:
        self.document: object = None
        self.error: Exception | None = None

    async def predict(self, inputs, parameters):
        if self.error is not None:
            raise self.error
        if self.document is None:
            return {"attributions": inputs["x"] * 2.0}
        return {"explanation": np.array([json.dumps(self.document).encode()], dtype=object)}


def explains(the_plane, model: str) -> Why:
    made = Why()
    the_plane.directory.explainers["why"] = "why", model
    about = description("why", VersionDescription([], []), ("1",))
    the_plane.directory.expect("why", "why").serve("why", about, {"1": Target(made)})
    return made


@pytest.fixture
async def transformers(the_plane, write_module):
    name, spawn = write_module(MODULE), Kept()
    made = Transformers(the_plane, KServeTransformer, spawn)
    made.configure(
        [
            entry(name, "around", "Around"),
            entry(name, "itself", "Itself"),
            entry(name, "outer", "Around", predictor="itself"),
            entry(name, "more", "More"),
            entry(name, "plain", "Plain"),
        ]
    )
    yield spawn
    await spawn.done()
    made.configure([])


async def asked(http, name, body=V1, **headers):
    return await http.post(f"/v1/models/{name}:explain", json=body, headers=headers)


async def test_v1_goes_through_the_class_to_the_explainer_of_the_model_behind(
    http, the_plane, transformers
):
    explains(the_plane, "m")
    found = await asked(http, "around")  # before it is loaded: it waits
    assert (found.status_code, found.json()) == (200, {"explanations": [[2, 4]], "by": "around"})


async def test_what_an_explainer_answers_as_a_document_comes_as_one(http, the_plane, transformers):
    explains(the_plane, "m").document = {"explanations": [1], "anchor": ["a"]}
    found = await asked(http, "around")
    assert found.json() == {"explanations": [1], "anchor": ["a"], "by": "around"}


async def test_v2(http, the_plane, transformers):
    explains(the_plane, "m")
    found = (await http.post("/v2/models/around/explain", json=V2)).json()
    (output,) = found["outputs"]
    assert (found["model_name"], output["name"], output["data"]) == ("around", "attributions", [2, 4])


async def test_a_class_with_an_explanation_of_its_own_needs_no_explainer(http, transformers):
    found = await asked(http, "itself", **{"x-user": "me"})
    assert found.json() == {"explanations": [[12, 22]], "to": "me", "by": "itself"}


@pytest.mark.parametrize(("name", "said"), [("more", {"more": 1}), ("plain", {})])
async def test_one_of_its_own_asks_the_explainer_by_that_of_kserves_class(
    http, the_plane, transformers, name, said
):
    found = await asked(http, name)
    assert (found.status_code, "'m' has no explainer" in found.text) == (501, True), found.text
    explains(the_plane, "m")
    found = await asked(http, name)
    assert found.json() == {"explanations": [[2, 4]], "by": name, **said}, found.text
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3, 4]}]}
    if name == "plain":
        (output,) = (await http.post(f"/v2/models/{name}/explain", json=body)).json()["outputs"]
        assert output["data"] == [6, 8]


async def test_around_one_that_explains_itself(http, transformers):
    found = await asked(http, "outer", {"instances": [{"row": {"row": [1, 2]}}]}, **{"x-user": "me"})
    assert found.json()["explanations"] == [[12, 22]]


async def test_its_own_explainer_is_asked_without_it(http, the_plane, transformers):
    """As KServe's gateway sends `:explain` to the explainer, which asks the transformer."""
    explains(the_plane, "itself")
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3, 4]}]}
    found = (await http.post("/v2/models/itself/explain", json=body)).json()
    assert [one["data"] for one in found["outputs"]] == [[6, 8]]


@pytest.mark.parametrize("loaded", [True, False])
async def test_without_any_it_is_501(http, transformers, loaded):
    if loaded:
        await transformers.done()
    for found in (await asked(http, "around"), await http.post("/v2/models/around/explain", json=V2)):
        assert (found.status_code, "'around' has no explainer" in found.text) == (501, True)
        assert "`explains: around`" in found.text


async def test_the_routes_are_in_openapi_where_something_explains(http, the_plane, transformers):
    await transformers.done()

    async def listed(name):
        paths = (await http.get("/openapi.json")).json()["paths"]
        routes = f"/v1/models/{name}:explain", f"/v2/models/{name}/explain"
        assert f"/v1/models/{name}:predict" in paths
        return [route in paths for route in routes]

    assert [await listed(name) for name in ("itself", "around")] == [[True, True], [False, False]]
    explains(the_plane, "m")
    assert await listed("around") == [True, True]


async def test_what_the_explainer_refuses_is_told_and_counted_once(http, the_plane, transformers):
    explains(the_plane, "m").error = InvalidArgument("too small")
    found = await asked(http, "around")
    assert (found.status_code, "too small" in found.text) == (400, True), found.text
    (stats,) = the_plane.statistics("around")
    assert stats["inference_stats"]["fail"]["count"] == 1
