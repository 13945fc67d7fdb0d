"""`/openapi.json` against the server that it describes, by schemathesis, in this process."""

from typing import Any

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

SMALL = hypothesis.settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


class Rows:
    """Answers `label` for each row of its first input."""

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        return {"label": np.zeros(len(next(iter(inputs.values()))), np.int64)}


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
    return RestApp(made, Limits)


def operations(app: RestApp) -> list[Any]:
    schema = schemathesis.openapi.from_dict(openapi(app.plane))
    schema.app = app
    return [found.ok() for found in schema.get_all_operations()]


def test_every_route_is_there(app):
    paths = openapi(app.plane)["paths"]
    for path in (
        "/v2",
        "/v2/models/FP32/infer",
        "/v2/models/table/versions/2/infer",
        "/v1/models/table:predict",
    ):
        assert path in paths
    post = paths["/v2/models/FP32/infer"]["post"]
    statuses = "200 400 404 405 413 415 500 501 503 504"
    assert " ".join(sorted(post["responses"])) == statuses
    assert "/v1/models/echo:predict" not in paths


def test_what_it_allows_is_taken_and_answered_as_it_says(app):
    """No valid request is refused, no status or answer comes that it doesn't have."""
    tried = 0
    for operation in operations(app):

        @SMALL
        @hypothesis.given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call()
            assert answer.status_code == 200, answer.text
            case.validate_response(answer)

        asked()
    assert tried > 200


def test_what_it_forbids_is_refused_with_a_status_that_it_has(app):
    refused = 0
    for operation in operations(app):
        if operation.method != "post":
            continue

        @SMALL
        @hypothesis.given(case=operation.as_strategy(schemathesis.GenerationMode.NEGATIVE))
        def asked(case: Any) -> None:
            nonlocal refused
            answer = case.call()
            refused += answer.status_code != 200
            # 200 where the server takes more than a schema can say: any number of rows.
            assert answer.status_code in (200, 400), answer.text

        asked()
    assert refused > 100
