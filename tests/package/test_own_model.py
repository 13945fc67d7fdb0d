"""The load test's request to a model of one's own, and what it says where there is none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.own_model import NoExample, sample
from loadtests.payloads import WrongAnswer
from tests.package.answering import answer, serving

ROOT = Path(__file__).parents[2]
ABOUT = {
    "name": "mine",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
}
EXAMPLE = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}]}
DOCUMENT = {
    "paths": {
        "/v2/models/mine/infer": {
            "post": {"requestBody": {"content": {"application/json": {"example": EXAMPLE}}}}
        }
    }
}
PAGES: dict[str, Any] = {"/v2/models": {"models": ["mine", "other"]}, "/v2/models/mine": ABOUT}


@pytest.fixture
def pages() -> dict[str, Any]:
    return dict(PAGES)


@pytest.fixture
def url(pages: dict[str, Any]) -> Iterator[str]:
    def respond(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        page = pages.get(handler.path)
        answer(handler, json.dumps(page).encode(), 200 if page is not None else 404)

    with serving(respond) as address:
        yield f"http://{address}"


def test_the_example_that_the_server_shows(url: str, pages: dict[str, Any]) -> None:
    pages["/openapi.json"] = DOCUMENT
    found = sample(url, "mine")
    assert (found.model, found.inputs["x"].tolist()) == ("mine", [[1.5, 2.5]])
    assert found.inputs["x"].dtype == np.float32


def test_a_server_without_one_is_asked_for_the_inputs(url: str) -> None:
    assert sample(url, "mine").inputs["x"].shape == (1, 2)


def test_an_answer_has_the_outputs_that_it_should(url: str) -> None:
    check = sample(url, "mine").check
    check({"y": np.zeros(1)})
    with pytest.raises(WrongAnswer, match="no output 'y'"):
        check({"z": np.zeros(1)})


def test_a_model_that_isn_t_there_is_said_with_those_that_are(url: str) -> None:
    with pytest.raises(NoExample, match="serves no model 'mein'; its models: mine, other"):
        sample(url, "mein")


def test_no_server() -> None:
    with pytest.raises(NoExample, match=r"no server at http://127.0.0.1:9 .*make run"):
        sample("http://127.0.0.1:9", "mine")


def test_the_client_process_says_what_it_is_for() -> None:
    command = [sys.executable, "-m", "loadtests.client"]
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m loadtests.client")
    assert "make load MODEL=" in done.stdout
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input="", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("standard input has no job")
    assert "Traceback" not in done.stderr
