"""`/openapi.json` against the server that it describes, by schemathesis, in this process."""

import asyncio
import re
from typing import Any

import httpx
import hypothesis
import numpy as np
import pytest
import schemathesis

from serve_app.config import Limits
from serve_app.ingress.openapi import openapi
from serve_app.ingress.rest import RestApp
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.arrays import DTYPES
from tests.unit.engines import ABOUT, ENGINE, Talker, backend
from tests.unit.planes import UNDECLARED, Echo, plane, served

OPENAI = ("/v1/chat/completions", "/v1/completions")
SMALL = hypothesis.settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
FEW = hypothesis.settings(SMALL, max_examples=2)


class Rows:
    """Answers `label` for each row of its first input."""

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        return {"label": np.zeros(len(next(iter(inputs.values()), ())), np.int64)}


@pytest.fixture(scope="module")
def app() -> RestApp:
    made = plane()
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    label = TensorSpec("label", "INT64", (-1,))
    for datatype in DTYPES:
        about = VersionDescription([TensorSpec("x", datatype, (-1, 2))], [label])
        served(made, datatype, backend=Rows(), about=about, versions=("1",))
    table = [
        TensorSpec("age", "INT64", (-1, 1)), TensorSpec("city", "BYTES", (-1,)),
        TensorSpec("top", "UINT8", (1,), optional=True),
    ]  # fmt: skip
    served(made, "llm", backend=backend(Talker()), about=ABOUT, versions=("1",), engine=ENGINE)
    served(made, "table", backend=Rows(), about=VersionDescription(table, [label]))
    served(made, "why", backend=Rows(), about=UNDECLARED, versions=("1",))
    made.directory.explainers["why"] = "why", "table"
    return RestApp(made, Limits)


def operations(app: RestApp) -> list[Any]:
    schema = schemathesis.openapi.from_dict(openapi(app.plane))
    schema.app = app
    found = [one.ok() for one in schema.get_all_operations()]
    # Generate asks the same of all versions, and in both ways.
    again = re.compile(r"/versions/1/generate|(?<!FP32|.llm)/generate_stream")
    return [one for one in found if not again.search(one.path)]


def several(operation: Any) -> hypothesis.settings:
    """Fewer by the path of a model's first version: the model's own has asked the same of it."""
    return FEW if "/versions/1/" in operation.path else SMALL


def test_every_route_is_there(app):
    paths = openapi(app.plane)["paths"]
    for path in (
        "/v2",
        "/v2/models/FP32/infer",
        "/v2/models/table/versions/2/infer",
        "/v1/models/table:predict",
        "/v2/models/FP32/generate",
        "/v2/models/FP32/versions/1/generate_stream",
        "/v2/models/table/generate",
        "/v2/models/llm/generate_stream",
        "/openai/v1/models",
        "/openai/v1/models/m",
        "/v1/chat/completions",
        "/v1/completions",
    ):
        assert path in paths
    # What nobody here can do; and of a model without declared inputs nothing is known by name.
    for path in ("/v1/embeddings", "/v2/models/echo/generate", "/v1/models/llm:predict"):
        assert path not in paths
    post = paths["/v2/models/FP32/infer"]["post"]
    statuses = "200 400 404 405 413 415 500 501 503 504"
    assert " ".join(sorted(post["responses"])) == statuses
    assert "/v1/models/echo:predict" not in paths


def test_without_an_llm_there_are_no_routes_for_one():
    made = plane()
    served(made, "FP32", backend=Echo(), versions=("1",))
    paths = openapi(made)["paths"]
    assert "/openai/v1/models" in paths
    assert not [path for path in paths if path.startswith("/v1/") and "/models" not in path]


def test_every_example_can_be_sent(app):
    """As the page's button does."""
    transport = httpx.ASGITransport(app)
    document, sent = openapi(app.plane), 0

    async def send() -> None:
        nonlocal sent
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            for path, verbs in document["paths"].items():
                if post := verbs.get("post"):
                    example = post["requestBody"]["content"]["application/json"]["example"]
                    answer = await client.post(path, json=example)
                    assert answer.status_code == 200, f"{path}: {answer.text}"
                    sent += 1

    asyncio.run(send())
    assert sent > 40


@pytest.mark.no_cover
def test_what_it_allows_is_taken_and_answered_as_it_says(app):
    """No valid request is refused, no status or answer comes that it doesn't have."""
    tried = 0
    for operation in operations(app):

        @several(operation)
        @hypothesis.given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call()
            assert answer.status_code == 200, answer.text
            case.validate_response(answer)

        asked()
    assert tried > 200


@pytest.mark.no_cover
def test_what_it_forbids_is_refused_with_a_status_that_it_has(app):
    refused = 0
    for operation in operations(app):
        if operation.method != "post" or operation.path in OPENAI:
            continue  # what is wrong in OpenAI's bodies is an engine's to say

        @several(operation)
        @hypothesis.given(case=operation.as_strategy(schemathesis.GenerationMode.NEGATIVE))
        def asked(case: Any) -> None:
            nonlocal refused
            answer = case.call()
            refused += answer.status_code != 200
            # 200 where the server takes more than a schema can say: any number of rows.
            assert answer.status_code in (200, 400), answer.text

        asked()
    assert refused > 100


def test_load_and_unload_are_there_where_they_are_switched_on():
    made = plane()
    served(made, "m")
    assert not [path for path in openapi(made)["paths"] if "repository/models" in path]
    made.extensions = [*made.extensions, "model_repository"]
    document = openapi(made)
    for verb in ("load", "unload"):
        operation = document["paths"][f"/v2/repository/models/m/{verb}"]["post"]
        assert operation["security"] == [{"token": []}]
        assert "401" in operation["responses"]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
