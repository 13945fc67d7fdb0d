"""Batches, cancellation, failures and deadlines on a live server, inline and remote alike."""

import contextlib
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from serve_app.protocol.inference_pb2 import ModelInferRequest
from tests.serve.configs import python, remote, router, write
from tests.serve.live import column, pid_of, until
from tests.server import MODES, Setup

BATCHED = {"maxBatchSize": 8}
# tests/serve/test_graphs.py has their tests.
GRAPHS = [
    {"name": "chain", "nodes": {"root": {"routerType": "Sequence", "steps": [
        {"serviceName": "slow"}, {"serviceName": "remote-slow", "data": "$response"},
        {"nodeName": "sorts", "data": "$response"},
    ]}, "sorts": {"routerType": "Switch", "steps": [
        {"serviceName": "slow", "condition": "outputs.#(name==x).data.#(>5)"},
        {"serviceName": "slow", "condition": "predictions.#(x.0>5)"},
    ]}}},
    {"name": "both", "nodes": {"root": {"routerType": "Ensemble", "steps": [
        {"serviceName": "slow", "name": "here"}, {"serviceName": "remote-slow", "name": "there"},
        {"serviceName": "remote-picky", "name": "picky"},
    ]}}},
]  # fmt: skip
EITHER = pytest.mark.parametrize("place", ["", "remote-"])


def config(folder: Path) -> Path:
    inline, far = str(folder / "inline.log"), str(folder / "remote.log")
    Path(inline).touch(), Path(far).touch()
    slow, fussy = {"seconds": 0.1}, {"pause": 0.1}
    return write(
        folder / "config.yaml",
        router(
            python("Waits", options={"log": inline}),
            python("Slow", options=slow, batching=BATCHED),
            python("Fussy", options=fussy, batching=BATCHED),
            python("Picky"),
            python("Loud"),
            limits={"timeout": 900},  # so that no deadline passes for a cancellation
            graphs=GRAPHS,
        ),
        remote("remote-waits", "Waits", options={"log": far}),
        remote("remote-slow", "Slow", options=slow, batching=BATCHED),
        remote("remote-fussy", "Fussy", options=fussy, batching=BATCHED),
        remote("remote-picky", "Picky"),
        remote("remote-loud", "Loud"),
        remote("mortal", "Pid"),
        remote("echo", "", **{"class": "serve_app.demo.identity:Identity"}),
    )


SETUPS = [Setup(mode, "requests", config) for mode in MODES]
pytestmark = pytest.mark.parametrize("server", SETUPS, indirect=True, ids=str)


@pytest.fixture
def live(server):
    folder = server.config.parent
    return server, {"": folder / "inline.log", "remote-": folder / "remote.log"}


@EITHER
def test_a_users_own_class_of_error_is_the_callers_fault(live, place):
    server, _ = live
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 1], "contents": {"fp32_contents": [1]}}
    message = ModelInferRequest(model_name=f"{place}picky", inputs=[entry]).SerializeToString()
    with server.http() as client, grpc.insecure_channel(server.grpc) as channel:
        answer = client.post(f"/v2/models/{place}picky/infer", json=column(1))
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as failed:
            call(message, timeout=30)
    text = "tensor 'x': an image of 1x2 is too small"
    assert (answer.status_code, answer.json()) == (400, {"error": text})
    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, text)


@EITHER
def test_what_user_code_writes_and_raises_is_in_the_terminal_and_in_the_replicas_log(live, place):
    server, _ = live
    model = f"{place}loud"
    word = f"a word for {model}"
    with server.http() as client:
        body = {**column(1), "id": "r1", "parameters": {"word": word}}
        answer = client.post(f"/v2/models/{model}/infer", json=body, headers={"x-request-id": "abc"})
    assert (answer.status_code, "raised ValueError (" in answer.text) == (500, True)
    assert word not in answer.text
    failed = f"model '{model}' version 1 failed on request r1 (abc): model '{model}' raised ValueError"
    said = [f"printed {word}", f"logged {word}", failed, f"ValueError: raised {word}", "in predict"]
    owner = "remote-loud_ModelReplica" if place else "tandem_Router"
    for file in replica_logs(server, owner):
        kept = file.read_text()  # at once: the answer came after it
        assert [text for text in said if text not in kept] == []
        assert "loud is here" in kept
    # Ray carries it to the terminal ten times a second.
    until(lambda: all(text in server.text() for text in said), f"{said} in the terminal")


def replica_logs(server, owner: str) -> list[Path]:
    """Serve's files that processes of this server have open, of the replicas of one deployment."""
    found = set()
    for process in server.family():
        with contextlib.suppress(psutil.Error):
            found |= {Path(file.path) for file in process.open_files()}
    logs = [path for path in found if path.name.startswith(f"replica_{owner}_")]
    assert logs, found
    return logs


@EITHER
def test_requests_share_batches_and_keep_their_rows(live, place):
    server, _ = live

    def ask(number: int) -> tuple[float, float]:
        answer = client.post(f"/v2/models/{place}slow/infer", json=column(number)).json()
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        return outputs["x"][0], outputs["rows"][0]

    with server.http() as client, ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(48)))
    assert [x for x, _ in answers] == list(range(48))
    assert max(rows for _, rows in answers) > 2
    assert max(rows for _, rows in answers) <= BATCHED["maxBatchSize"]


@EITHER
def test_a_request_larger_than_a_batch_goes_through_in_pieces(live, place):
    server, _ = live
    with server.http() as client:
        answer = client.post(f"/v2/models/{place}slow/infer", json=column(*range(50))).json()
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs["x"] == list(range(50))
    assert max(outputs["rows"]) == BATCHED["maxBatchSize"]


@EITHER
def test_a_failing_request_fails_alone(live, place):
    server, _ = live

    def ask(number: int):
        body = {**column(-number if number % 5 == 0 else number), "id": f"r{number}"}
        return client.post(f"/v2/models/{place}fussy/infer", json=body)

    with server.http() as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(1, 25)))
    for number, answer in enumerate(answers, 1):
        if number % 5:
            assert answer.status_code == 200, answer.text
            assert answer.json()["outputs"][0]["data"] == [number]
        else:
            assert answer.status_code == 500
            error = answer.json()["error"]
            assert f"r{number}" in error
            assert "raised ValueError (" in error
            assert "a negative number" not in error  # which is in the log alone
            assert "Traceback" not in error


@EITHER
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_cancelled_client_stops_the_work(live, place, protocol):
    server, logs = live
    log = logs[place]
    before = log.read_text()

    def since() -> str:
        return log.read_text()[len(before) :]

    if protocol == "grpc":
        request = ModelInferRequest(model_name=f"{place}waits")
        tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 1])
        tensor.contents.fp32_contents.append(600)
        with grpc.insecure_channel(server.grpc) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            future = call.future(request.SerializeToString())
            until(lambda: "started" in since(), "the model runs")
            future.cancel()
    else:
        connection = HTTPConnection("127.0.0.1", server.http_port)
        connection.request("POST", f"/v2/models/{place}waits/infer", json.dumps(column(600)))
        until(lambda: "started" in since(), "the model runs")
        connection.close()
    until(lambda: "cancelled" in since(), "the model is told")
    with server.http() as client:
        answer = client.post(f"/v2/models/{place}waits/infer", json=column(0))
    assert answer.status_code == 200


@EITHER
def test_cancelled_neighbours_dont_poison_a_batch(live, place):
    server, _ = live

    def leave(number: int) -> None:
        with server.http() as client, contextlib.suppress(httpx.TimeoutException):
            client.post(f"/v2/models/{place}slow/infer", json=column(number), timeout=0.05)

    def stay(number: int) -> float:
        with server.http() as client:
            answer = client.post(f"/v2/models/{place}slow/infer", json=column(number))
        assert answer.status_code == 200, answer.text
        return answer.json()["outputs"][0]["data"][0]

    with ThreadPoolExecutor(24) as pool:
        leaving = [pool.submit(leave, number) for number in range(100, 112)]
        answers = list(pool.map(stay, range(24)))
        for future in leaving:
            future.result()
    assert answers == list(range(24))


@EITHER
def test_a_deadline_ends_the_wait(live, place):
    server, logs = live
    body = {**column(600), "parameters": {"timeout": 200_000}}  # microseconds
    before = logs[place].read_text()
    with server.http() as client:
        answer = client.post(f"/v2/models/{place}waits/infer", json=body)
    assert answer.status_code == 504
    assert "0.2 s" in answer.json()["error"]
    until(lambda: "cancelled" in logs[place].read_text()[len(before) :], "the model is told")


def test_a_dead_replica_is_survived(live):
    server, _ = live
    with server.http() as client:
        pid = pid_of(client, "mortal")
        os.kill(pid, signal.SIGKILL)

        def status() -> int:
            answer = client.post("/v2/models/mortal/infer", json={"inputs": []})
            assert answer.status_code in (200, 503, 504), answer.text
            return answer.status_code

        until(lambda: status() == 200, "it answers again")
        assert pid_of(client, "mortal") != pid


def test_a_large_tensor_reaches_a_replica_and_comes_back(live):
    server, _ = live
    data = os.urandom(16 * 2**20)
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "shape": [len(data)],
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": len(data)},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    with server.http() as client:
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = client.post("/v2/models/echo/infer", content=head + data, headers=headers)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.content.endswith(data)
