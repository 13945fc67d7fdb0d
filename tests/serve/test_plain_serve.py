"""The same config under plain `serve run`, in Ray's default mode: no launcher of ours."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
import yaml

from serve_app.ports import free_port
from serve_app.protocol.inference_pb2 import ModelInferRequest, ModelInferResponse
from tests.serve.live import until
from tests.server import ROOT

pytestmark = pytest.mark.live


ALL = {"identity", "digits", "digits-onnx", "sentences"}
SMALL = {"identity", "digits-onnx"}  # what starts quickly


@pytest.fixture
def quickstart(tmp_path: Path, demo_models: Path, names: set[str]) -> tuple[Path, int, int]:
    """configs/quickstart.yaml on free ports, with the models `names`."""
    config = yaml.safe_load((ROOT / "configs" / "quickstart.yaml").read_text())
    routed, *others = config["applications"]
    config["applications"] = [routed, *(other for other in others if other["name"] in names)]
    user_config = routed["deployments"][0]["user_config"]
    user_config["models"] = [model for model in user_config["models"] if model["name"] in names]
    http_port, grpc_port = free_port(), free_port()
    config["http_options"]["port"] = http_port
    config["grpc_options"]["port"] = grpc_port
    path = tmp_path / "quickstart.yaml"
    path.write_text(yaml.safe_dump(config))
    return path, http_port, grpc_port


@pytest.mark.parametrize(
    "names", [SMALL, pytest.param(ALL, marks=pytest.mark.long)], ids=["small", "all"]
)
def test_serve_run(quickstart, names, tmp_path):
    path, http_port, grpc_port = quickstart
    log = (tmp_path / "serve.log").open("w+")
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("serve")), "run", str(path)],
        cwd=ROOT,
        env={**os.environ, "RAY_ADDRESS": "local", "RAY_AUTH_MODE": "token"},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    family = []
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=60) as client:

            def ready() -> bool:
                assert process.poll() is None, Path(log.name).read_text()[-4000:]
                try:
                    rows = client.post("/v2/repository/index").json()
                except (httpx.TransportError, ValueError):
                    return False
                return names == {row["name"] for row in rows if row["state"] == "READY"}

            until(ready, "all models ready", 180)
            family = psutil.Process(process.pid).children(recursive=True)
            if "sentences" in names:
                text = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["plain Serve"]}
                answer = client.post("/v2/models/sentences/infer", json={"inputs": [text]})
                assert answer.status_code == 200, answer.text
                assert answer.json()["outputs"][0]["shape"] == [1, 384]
        request = ModelInferRequest(model_name="identity", raw_input_contents=[b"\x07"])
        request.inputs.add(name="x", datatype="UINT8", shape=[1])
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            response = ModelInferResponse.FromString(call(request.SerializeToString(), timeout=30))
        assert list(response.raw_output_contents) == [b"\x07"]
    finally:
        process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs([*family, psutil.Process(process.pid)], timeout=60)
        for left in alive:
            left.kill()
        process.wait()
        log.close()
