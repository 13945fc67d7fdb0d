"""The twin, started as configs/kserve has it started, answers as the model itself does."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from loadtests import hosted, payloads
from loadtests.answers import Answer, Refused, ask, differing, get
from loadtests.payloads import Sample
from loadtests.requests import grpc_request, json_request
from loadtests.servers import Server
from tests.package.crd import ROOT
from tests.package.kserve_manifests import CONFIG, SERVICES, container

SAMPLES: dict[str, Callable[[], Sample]] = {
    "identity": payloads.identity,
    "digits": lambda: payloads.digits("digits"),
    "sentences": payloads.sentences,
}


@pytest.fixture(scope="module", params=SERVICES)
def twin(request: pytest.FixtureRequest, demo_models: Path) -> Iterator[Server]:
    """The model server with the pod's arguments, but for places that only a pod has."""
    venv = ROOT / ".venv-kserve"
    if not (venv / ".bench").exists():
        pytest.skip("KServe's model server isn't installed: `make .venv-kserve/.bench` does it")
    name = request.param
    server = Server("kserve", {}, [name])
    here = {
        "--host": hosted.LOOPBACK,
        "--http-port": server.http_port,
        "--grpc-port": server.grpc_port,
        "--storage": demo_models / name,
    }
    arguments = [argument.split("=", 1) for argument in container(name)["args"]]
    server.command = [str(venv / "bin/python"), "-m", "loadtests.kserve"]
    server.command += [f"{option}={here.get(option, value)}" for option, value in arguments]
    with server:
        yield server


def rows_of(array: np.ndarray) -> list[Any]:
    return [item.decode() for item in array] if array.dtype == object else array.tolist()


def v2_http(server: Server, sample: Sample) -> Answer:
    return ask(server.target, json_request(sample.model, sample.inputs))


def v2_grpc(server: Server, sample: Sample) -> Answer:
    return ask(server.target, grpc_request(sample.model, sample.inputs))


def v1(server: Server, sample: Sample) -> Answer:
    (array,) = sample.inputs.values()
    body = orjson.dumps({"instances": rows_of(array)})
    rows = get(server.target, f"/v1/models/{sample.model}:predict", body)["predictions"]
    if len(sample.outputs) == 1:
        ((name, dtype),) = sample.outputs.items()
        return {name: np.array(rows, dtype)}
    return {name: np.array([row[name] for row in rows], dtype) for name, dtype in sample.outputs.items()}


def in_process(sample: Sample) -> Answer:
    loaded = hosted.load(ROOT / CONFIG, {sample.model})
    try:
        host = loaded[sample.model]
        version, _ = hosted.latest(host)
        return asyncio.run(host.predict(version, sample.inputs, {}))
    finally:
        hosted.close(loaded.values())


@pytest.mark.live
def test_the_twin_answers(twin: Server) -> None:
    """Every protocol, and what the model itself answers."""
    (name,) = twin.models
    assert get(twin.target, "/v2/models") == {"models": [name]}
    sample = SAMPLES[name]()
    expected = in_process(sample)
    # The echo declares no input, which V1 would need: it names none.
    for protocol in (v2_http, v2_grpc, v1) if name != "identity" else (v2_http, v2_grpc):
        answer = protocol(twin, sample)
        sample.check(answer)
        assert differing(expected, answer) == "", protocol.__name__


@pytest.mark.live
def test_the_twin_reloads_its_own_model_alone(twin: Server) -> None:
    """Another one's files aren't in its storage."""
    (name,) = twin.models
    get(twin.target, f"/v2/repository/models/{name}/load", b"")
    sample = SAMPLES[name]()
    sample.check(v2_http(twin, sample))
    other = next(model for model in SERVICES if model != name)
    with pytest.raises(Refused, match=f"503.*{other}"):
        get(twin.target, f"/v2/repository/models/{other}/load", b"")
