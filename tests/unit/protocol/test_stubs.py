"""Our stubs beside tritonclient's, which define the same names in the default descriptor pool."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.protocol import inference_pb2 as pb

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", params=["ours", "theirs"])
def stubs(request):
    """Both sets, imported into one process, `param` first."""
    script = Path(__file__).with_name("describe_stubs.py")
    done = subprocess.run(
        [sys.executable, str(script), request.param],
        capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_message_is_a_subset_of_tritons_with_the_same_numbers(stubs):
    theirs = stubs["theirs"]["messages"]
    for name, fields in stubs["ours"]["messages"].items():
        assert name in theirs
        for field, (*wire, _oneof, kind) in fields.items():
            *their_wire, _, their_kind = theirs[name][field]
            assert [*wire, kind] == [*their_wire, their_kind], f"{name}.{field}"


def test_the_inference_messages_are_complete(stubs):
    for name in (
        "ModelInferRequest",
        "ModelInferResponse",
        "InferTensorContents",
        "ModelMetadataResponse",
    ):
        full = f"inference.{name}"
        assert stubs["ours"]["messages"][full] == stubs["theirs"]["messages"][full]


def test_enums_and_methods_are_tritons(stubs):
    for kind in ("enums", "methods"):
        assert stubs["ours"][kind]
        for name, about in stubs["ours"][kind].items():
            assert stubs["theirs"][kind][name] == about, name


def test_the_classes_can_cross_actors():
    message = pb.ModelInferRequest(model_name="m")
    assert type(message).__module__ == "serve_app.protocol.inference_pb2"
    assert pickle.loads(pickle.dumps(message)) == message
