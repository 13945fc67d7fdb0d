"""One InferenceService file on KServe's own model servers and on Tandem: equal answers.

KServe's servers run from a checkout of github.com/kserve/kserve that TANDEM_KSERVE names, with the
arguments of KServe's own ClusterServingRuntimes; the file is served by `tandem run` as it is.
"""

import ast
import os
from collections.abc import Callable, Iterator, Mapping
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
from tests.serve.kserve_kinds import HUGGING, KINDS, Kind
from tests.server import ROOT, Server

PYTHON = ROOT / ".venv-kserve/bin/python"
HUGGING_PYTHON = os.environ.get("TANDEM_HUGGINGFACE", str(ROOT / ".venv-huggingface/bin/python"))
INFER = "/inference.GRPCInferenceService/ModelInfer"
ALL = {**KINDS, **HUGGING}
V2 = {"x-form": "v2"}  # for the transformer


class There(NamedTuple):
    url: str
    grpc: str


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The InferenceServices, and the models' folders beside them."""
    folder = tmp_path_factory.mktemp("isvc")
    documents = []
    for name, kind in ALL.items():
        (folder / name).mkdir()
        kind.make(folder / name)
        model = {
            "modelFormat": {"name": kind.format},
            "runtime": kind.runtime or "a-class-of-ones-own",
            "storageUri": f"file://{folder / name}",
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        }
        spec = {"predictor": {"model": model | ({"args": [*kind.args]} if kind.args else {})}}
        if kind.transformer:
            box = {"name": "kserve-container", "image": "mine:1", "args": [*kind.transformer]}
            spec["transformer"] = {"containers": [box]}
        documents.append(
            {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "metadata": {"name": name, "annotations": kind.notes},
                "spec": spec,
            }
        )
    (folder / "isvc.yaml").write_text(yaml.safe_dump_all(documents))
    return folder / "isvc.yaml"


@pytest.fixture(scope="module")
def tandem(file: Path, start_module_server: Callable[..., Server]) -> There:
    server = start_module_server(file, "high-throughput")
    return There(server.url, server.grpc)


def _started(kinds: Mapping[str, Kind], folder: Path, logs: Path) -> Iterator[dict[str, There]]:
    """A server for each, as KServe's controller would start it."""
    source = checkout()
    found: dict[str, There] = {}
    with ExitStack() as stack:
        programs = []
        for name, kind in kinds.items():
            there = There(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
            program = _program(source, name, kind, folder / name, there, logs)
            stack.callback(program.stop)
            program.start()
            programs.append((name, program))
            found[name] = there
        for name, kind in kinds.items():
            if kind.transformer:
                there = There(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
                program = _transformer(name, kind, there, found[name], logs)
                stack.callback(program.stop)
                program.start()
                programs.append((name, program))
                found[name] = there
        for name, program in programs:
            program.wait(partial(_ready, found[name].url, name), 150, f"KServe's server for {name}")
        yield found


@pytest.fixture(scope="module")
def kserve(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, There]]:
    if not PYTHON.exists():
        pytest.skip("no .venv-kserve")
    yield from _started(KINDS, file.parent, tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def hugging(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, There]]:
    if not Path(HUGGING_PYTHON).exists():
        pytest.skip("no .venv-huggingface (docs/testing.md)")
    yield from _started(HUGGING, file.parent, tmp_path_factory.mktemp("logs"))


def _program(source: Path, name: str, kind: Kind, folder: Path, there: There, logs: Path) -> Program:
    port, grpc_port = there.url.rpartition(":")[2], there.grpc.rpartition(":")[2]
    arguments = [f"--grpc_port={grpc_port}", f"--http_port={port}", f"--model_dir={folder}"]
    if kind.of_class:
        script = str(ROOT / "tests/serve/kserve_model.py")
        arguments.append(f"--model_name={name}")
        return Program([str(PYTHON), script, *kind.of_class, *arguments], logs / f"{name}.log")
    runtime = yaml.safe_load((source / f"config/runtimes/{kind.runtime}.yaml").read_text())
    values = {"{{.Name}}": name, "/mnt/models": str(folder), "8080": port}
    for text in (*runtime["spec"]["containers"][0]["args"], *kind.args):
        for old, new in values.items():
            text = text.replace(old, new)
        arguments.append(text)
    paths = os.pathsep.join(str(source / "python" / one) for one in (kind.server, "storage"))
    python = HUGGING_PYTHON if kind.format == "huggingface" else str(PYTHON)
    command = [python, "-m", kind.server, *arguments]
    return Program(command, logs / f"{name}.log", env={"PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"})


def _transformer(name: str, kind: Kind, there: There, predictor: There, logs: Path) -> Program:
    """As a container of the user's would run it."""
    script, host = str(ROOT / "tests/serve/kserve_transformer.py"), predictor.url.partition("//")[2]
    arguments = [f"--model_name={name}", f"--predictor_host={host}", *kind.transformer]
    ports = [
        f"--http_port={there.url.rpartition(':')[2]}",
        f"--grpc_port={there.grpc.rpartition(':')[2]}",
    ]
    return Program([str(PYTHON), script, *arguments, *ports], logs / f"{name}-transformer.log")


def _ready(url: str, name: str) -> bool:
    try:
        return httpx.get(f"{url}/v2/models/{name}/ready", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _v1(there: There, name: str) -> Any:
    body = {"instances": ALL[name].asked}
    url, headers = f"{there.url}/v1/models/{name}:predict", {"x-user": "me"}
    answer = httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _tensor(name: str) -> tuple[str, str, list[int], list[Any]]:
    """Name, datatype, shape and values of the request's input."""
    kind = ALL[name]
    if kind.asked and isinstance(kind.asked[0], str):
        return kind.input, "BYTES", [len(kind.asked)], kind.asked
    datatype = "FP32" if kind.of_class else "FP64"
    return kind.input, datatype, [5, 4], np.ravel(kind.asked).tolist()


def _v2(there: There, name: str) -> list[Any]:
    asked = dict(zip(("name", "datatype", "shape", "data"), _tensor(name), strict=True))
    url = f"{there.url}/v2/models/{name}/infer"
    answer = httpx.post(url, json={"inputs": [asked]}, headers=V2, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return [
        (one["name"], one["datatype"], one["shape"], one["data"]) for one in answer.json()["outputs"]
    ]


def _grpc(there: There, name: str) -> list[Any]:
    message = pb.ModelInferRequest(model_name=name)
    called, datatype, shape, data = _tensor(name)
    tensor = message.inputs.add(name=called, datatype=datatype, shape=shape)
    if datatype == "BYTES":
        tensor.contents.bytes_contents.extend(text.encode() for text in data)
    else:
        getattr(tensor.contents, f"{datatype.lower()}_contents").extend(data)
    with grpc.insecure_channel(there.grpc) as channel:
        call = channel.unary_unary(
            INFER, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        answer = call(message, timeout=30, metadata=tuple(V2.items()))
    raw = iter(answer.raw_output_contents)
    found = []
    for one in answer.outputs:
        if answer.raw_output_contents:
            data = _unpacked(next(raw), one.datatype)
        else:
            (_, values) = one.contents.ListFields()[0]
            data = list(values)
        data = [item.decode() if isinstance(item, bytes) else item for item in data]
        found.append((one.name, one.datatype, list(one.shape), data))
    return found


def _unpacked(raw: bytes, datatype: str) -> list[Any]:
    if datatype != "BYTES":
        return np.frombuffer(raw, TO_NUMPY[datatype]).tolist()
    found = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        found.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    return found


def _equal(ours: Any, theirs: Any) -> None:
    """Values as they are, floats but for their last digits; a text that is an object is one."""
    if isinstance(theirs, str) and theirs.startswith("{"):
        assert ours.startswith("{"), ours
        ours, theirs = ast.literal_eval(ours), ast.literal_eval(theirs)
    assert type(ours) is type(theirs), (ours, theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), (ours, theirs)
        for one, other in zip(ours, theirs, strict=True):
            _equal(one, other)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=2e-6, abs=2e-6)
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("ask", [_v1, _v2, _grpc])
def test_equal(kserve: dict[str, There], tandem: There, name: str, ask: Callable[..., Any]) -> None:
    _equal(ask(tandem, name), ask(kserve[name], name))


@pytest.mark.parametrize("name", HUGGING)
@pytest.mark.parametrize("ask", [_v1, _v2])
def test_equal_of_texts(
    hugging: dict[str, There], tandem: There, name: str, ask: Callable[..., Any]
) -> None:
    _equal(ask(tandem, name), ask(hugging[name], name))


@pytest.mark.parametrize("name", HUGGING)
def test_texts_over_grpc(hugging: dict[str, There], tandem: There, name: str) -> None:
    """As over HTTP. KServe's own server fails: it gives its tokenizer gRPC's bytes, which wants str."""
    _equal(_grpc(tandem, name), _v2(hugging[name], name))
    with pytest.raises(grpc.RpcError) as failed:
        _grpc(hugging[name], name)
    assert failed.value.code() is grpc.StatusCode.INTERNAL
