"""Our stubs and kserve's in one process: both define `inference.*`."""

import subprocess

import pytest

from tests.server import ROOT

SCRIPT = """
import sys

def theirs():
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as stubs
    return stubs

def ours():
    from serve_app.protocol import inference_pb2 as stubs
    return stubs

first, second = (ours, theirs) if sys.argv[1] == "ours" else (theirs, ours)
a, b = first(), second()
print(b.ModelInferRequest.FromString(a.ModelInferRequest(model_name="digits").SerializeToString()).model_name)
"""


@pytest.mark.parametrize("first", ["ours", "kserve's"])
def test_stubs_load_beside_kserves(first):
    done = subprocess.run(
        [str(ROOT / ".venv-kserve" / "bin" / "python"), "-c", SCRIPT, first],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "digits"
