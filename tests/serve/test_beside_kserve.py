"""One InferenceService file on KServe's own model servers and on Tandem: equal answers.

KServe's servers for scikit-learn, XGBoost and LightGBM run from a checkout of github.com/kserve/kserve
that TANDEM_KSERVE names, with the arguments of KServe's own ClusterServingRuntimes; the file is served
by `tandem run` as it is.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import numpy as np
import pytest
import yaml

from serve_app.ports import free_port
from serve_app.processes import Program
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.datatypes import TO_NUMPY
from tests.package.kserve_samples import checkout
from tests.server import ROOT, Server

PYTHON = ROOT / ".venv-kserve/bin/python"
INFER = "/inference.GRPCInferenceService/ModelInfer"
RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(90, 4))
LABELS = np.argmax(ROWS[:, :3], axis=1)
ASKED = ROWS[:5].tolist()


INLINE = {"tandem/placement": "inline"}  # one in a process of its own is enough


class Kind(NamedTuple):
    """A format, KServe's server for it, and who makes a model."""

    module: str
    runtime: str
    make: Callable[[Path], None]
    notes: dict[str, str]


def _sklearn(folder: Path) -> None:
    import joblib
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression().fit(ROWS, LABELS), folder / "model.joblib")


def _xgboost(folder: Path) -> None:
    import xgboost

    xgboost.XGBClassifier(n_estimators=4).fit(ROWS, LABELS).save_model(folder / "model.json")


def _lightgbm(folder: Path) -> None:
    import lightgbm

    data = lightgbm.Dataset(ROWS, LABELS)
    booster = lightgbm.train({"objective": "multiclass", "num_class": 3, "verbose": -1}, data, 4)
    booster.save_model(folder / "model.bst")


KINDS = {
    "sklearn": Kind(
        "sklearnserver", "kserve-sklearnserver", _sklearn, {"tandem/model": "trusted: true"}
    ),
    "xgboost": Kind("xgbserver", "kserve-xgbserver", _xgboost, INLINE),
    "lightgbm": Kind("lgbserver", "kserve-lgbserver", _lightgbm, INLINE),
}


class There(NamedTuple):
    url: str
    grpc: str


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The InferenceServices, and the models' folders beside them."""
    folder = tmp_path_factory.mktemp("isvc")
    documents = []
    for name, kind in KINDS.items():
        (folder / name).mkdir()
        kind.make(folder / name)
        model = {
            "modelFormat": {"name": name},
            "runtime": kind.runtime,
            "storageUri": f"file://{folder / name}",
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        }
        documents.append(
            {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "metadata": {"name": name, "annotations": kind.notes},
                "spec": {"predictor": {"model": model}},
            }
        )
    (folder / "isvc.yaml").write_text(yaml.safe_dump_all(documents))
    return folder / "isvc.yaml"


@pytest.fixture(scope="module")
def tandem(file: Path, start_module_server: Callable[..., Server]) -> There:
    server = start_module_server(file, "high-throughput")
    return There(server.url, server.grpc)


@pytest.fixture(scope="module")
def kserve(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, There]]:
    """A server for each format, as KServe's controller would start it."""
    source = checkout()
    if not PYTHON.exists():
        pytest.skip("no .venv-kserve")
    logs = tmp_path_factory.mktemp("logs")
    found: dict[str, There] = {}
    with ExitStack() as stack:
        for name, kind in KINDS.items():
            there = There(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
            program = _program(source, name, kind, file.parent / name, there, logs)
            stack.callback(program.stop)
            program.start()
            program.wait(partial(_ready, there.url, name), 120, f"KServe's server for {name}")
            found[name] = there
        yield found


def _program(source: Path, name: str, kind: Kind, folder: Path, there: There, logs: Path) -> Program:
    runtime = yaml.safe_load((source / f"config/runtimes/{kind.runtime}.yaml").read_text())
    values = {"{{.Name}}": name, "/mnt/models": str(folder), "8080": there.url.rpartition(":")[2]}
    arguments = [f"--grpc_port={there.grpc.rpartition(':')[2]}"]
    for text in runtime["spec"]["containers"][0]["args"]:
        for old, new in values.items():
            text = text.replace(old, new)
        arguments.append(text)
    paths = os.pathsep.join(str(source / "python" / one) for one in (kind.module, "storage"))
    command = [str(PYTHON), "-m", kind.module, *arguments]
    return Program(command, logs / f"{name}.log", env={"PYTHONPATH": paths})


def _ready(url: str, name: str) -> bool:
    try:
        return httpx.get(f"{url}/v2/models/{name}/ready", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _v1(there: There, name: str) -> Any:
    body = {"instances": ASKED}
    answer = httpx.post(f"{there.url}/v1/models/{name}:predict", json=body, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["predictions"])


def _v2(there: There, name: str) -> Any:
    tensor = {"name": "input-0", "shape": [5, 4], "datatype": "FP64", "data": ASKED}
    url = f"{there.url}/v2/models/{name}/infer"
    answer = httpx.post(url, json={"inputs": [tensor]}, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    return output["name"], output["datatype"], output["shape"], np.array(output["data"])


def _grpc(there: There, name: str) -> Any:
    message = pb.ModelInferRequest(model_name=name)
    tensor = message.inputs.add(name="input-0", datatype="FP64", shape=[5, 4])
    tensor.contents.fp64_contents.extend(np.ravel(ASKED).tolist())
    with grpc.insecure_channel(there.grpc) as channel:
        call = channel.unary_unary(
            INFER, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        answer = call(message, timeout=30)
    (output,) = answer.outputs
    raw = answer.raw_output_contents
    if raw:
        data = np.frombuffer(raw[0], TO_NUMPY[output.datatype])
    else:
        (_, values) = output.contents.ListFields()[0]
        data = np.array(values)
    return output.name, output.datatype, list(output.shape), data


@pytest.mark.parametrize("name", KINDS)
def test_v1(kserve: dict[str, There], tandem: There, name: str) -> None:
    theirs, ours = _v1(kserve[name], name), _v1(tandem, name)
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("ask", [_v2, _grpc])
def test_v2(kserve: dict[str, There], tandem: There, name: str, ask: Callable[..., Any]) -> None:
    *theirs, there = ask(kserve[name], name)
    *ours, here = ask(tandem, name)
    assert ours == theirs  # name, datatype, shape
    np.testing.assert_allclose(here, there, rtol=1e-6)
