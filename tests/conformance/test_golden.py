"""The demo models against answers computed without the server's code. The clients' side of this is
in cases.py; here is what needs more than one answer."""

import httpx
import numpy as np
import pytest

from tests.conformance import golden
from tests.conformance.rest import infer_json, pixels


def classified(http: httpx.Client, path: str) -> tuple[np.ndarray, np.ndarray]:
    rows = golden.held_out()[0]
    answer = http.post(f"/v2/models/{path}/infer", json=infer_json(pixels(rows.tolist())))
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output for output in answer.json()["outputs"]}
    odds = outputs["probabilities"]
    assert odds["shape"] == [len(rows), 10]
    return np.array(odds["data"]).reshape(odds["shape"]), np.array(outputs["label"]["data"])


@pytest.mark.parametrize("path", ["digits/versions/1", "digits/versions/2", "digits", "digits-onnx"])
def test_held_out_digits(http: httpx.Client, path: str) -> None:
    rows, truth = golden.held_out()
    odds, labels = classified(http, path)
    assert (labels == truth).mean() >= 0.97
    expected = golden.digits(rows, "1" if path.endswith("1") else "2")
    np.testing.assert_allclose(odds, expected["probabilities"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(labels, expected["label"])


def test_versions_differ(http: httpx.Client) -> None:
    first, second = classified(http, "digits/versions/1")[0], classified(http, "digits/versions/2")[0]
    assert np.abs(first - second).max() > 0.01


def test_onnx_is_version_2(http: httpx.Client) -> None:
    second, onnx = classified(http, "digits/versions/2")[0], classified(http, "digits-onnx")[0]
    np.testing.assert_allclose(onnx, second, rtol=0, atol=1e-4)


@pytest.mark.parametrize("order", [1, -1])
def test_sentences_in_company(http: httpx.Client, order: int) -> None:
    """A text's vector doesn't depend on what is padded beside it."""
    texts = golden.SENTENCES[::order]
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    [output] = http.post("/v2/models/sentences/infer", json=infer_json(tensor)).json()["outputs"]
    got = np.array(output["data"]).reshape(output["shape"])
    np.testing.assert_allclose(got, golden.sentences(texts)["embedding"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-4)
