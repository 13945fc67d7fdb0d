"""`tandem local`, from a manifest to an answer, through changes and deaths to an end without remains."""

import copy
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton

from loadtests.proofs.local import Local, State, condition, settled
from loadtests.proofs.manifest import config_of, manifest, with_config

pytestmark = pytest.mark.live
ECHO = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, -2]}]}


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """One worker, one Router, the inline echo."""
    found = manifest()
    (group,) = found["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    group |= {"replicas": 1, "minReplicas": 1}
    found["spec"]["rayClusterDeletionDelaySeconds"] = 0
    config = config_of(found)
    config["applications"] = config["applications"][:1]
    config["applications"][0]["deployments"][0]["num_replicas"] = 1
    return with_config(found, config)


@pytest.fixture(scope="module")
def local(service: dict[str, Any]) -> Iterator[Local]:
    with Local(service) as found:
        found.until(serves, "a worker that serves")
        yield found


@pytest.fixture
def client(local: Local) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=local.target.http, timeout=60) as found:
        yield found


def serves(state: State) -> bool:
    return settled(state, 1)


def cluster(state: State) -> str:
    return str(state["activeServiceStatus"]["rayClusterName"])


def workers(state: State) -> list[dict[str, Any]]:
    return [node for node in state["activeServiceStatus"]["nodes"] if node["group"] != "head"]


def echoes(client: httpx.Client) -> bool:
    answer = client.post("/v2/models/identity/infer", json=ECHO)
    return bool(answer.status_code == 200 and answer.json()["outputs"][0]["data"] == [1.5, -2])


def test_answers_over_http_and_grpc(local: Local, client: httpx.Client) -> None:
    assert echoes(client)
    values = np.array([[1, 2, 3]], np.float32)
    given = triton.InferInput("x", [1, 3], "FP32")
    given.set_data_from_numpy(values)
    with triton.InferenceServerClient(local.target.grpc) as grpc:
        output = grpc.infer("identity", [given]).as_numpy("x")
    np.testing.assert_array_equal(output, values)


def test_status_is_in_the_operators_words(local: Local) -> None:
    state = local.state()
    assert condition(state, "Ready")
    assert not condition(state, "UpgradeInProgress")
    assert state["serviceStatus"] == "Running"
    assert state["activeServiceStatus"]["applicationStatuses"]["tandem"]["status"] == "RUNNING"
    assert state["pendingServiceStatus"] == {}
    assert [node["group"] for node in state["activeServiceStatus"]["nodes"]] == ["head", "cpu"]
    assert "Ready=True (NonZeroServeEndpoints)" in local.log.read_text()


def connections(pid: int) -> list[Any]:
    try:
        return list(psutil.Process(pid).net_connections("tcp"))
    except psutil.NoSuchProcess:  # Ray's helpers come and go
        return []


def test_nothing_is_open_to_others(local: Local) -> None:
    for node in local.state()["activeServiceStatus"]["nodes"]:
        for pid in node["pids"]:
            for connection in connections(pid):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip in ("127.0.0.1", "::ffff:127.0.0.1", "::1"), connection


def test_the_dashboard_asks_for_the_token(local: Local) -> None:
    for token, status in (("", 401), (local.state()["token"], 200)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx.get(f"{local.dashboard}/api/serve/applications/", headers=headers)
        assert answer.status_code == status


def test_a_changed_config_is_applied_in_place(
    local: Local, service: dict[str, Any], client: httpx.Client
) -> None:
    before = local.state()
    config = config_of(service)
    models = config["applications"][0]["deployments"][0]["user_config"]["models"]
    models.append({**models[0], "name": "second"})
    local.apply(with_config(service, config))
    local.until(lambda _: client.get("/v2/models/second/ready").status_code == 200, "the second model")
    assert cluster(local.state()) == cluster(before)
    assert workers(local.state())[0]["name"] == workers(before)[0]["name"]


def test_what_cannot_be_applied_changes_nothing(
    local: Local, service: dict[str, Any], client: httpx.Client
) -> None:
    config = config_of(service)
    config["applications"][0]["deployments"][0]["user_config"]["modles"] = []
    local.apply(with_config(service, config))
    local.until(lambda _: "did you mean models" in local.log.read_text(), "the reason")
    assert echoes(client)
    local.apply(service)


def test_a_worker_that_dies_is_replaced(local: Local, client: httpx.Client) -> None:
    (victim,) = workers(local.state())
    psutil.Process(victim["pids"][0]).kill()
    local.until(lambda s: serves(s) and workers(s)[0]["name"] != victim["name"], "another worker")
    assert echoes(client)


@pytest.mark.long
def test_a_changed_pod_makes_a_second_cluster(
    local: Local, service: dict[str, Any], client: httpx.Client
) -> None:
    old = local.state()
    changed = copy.deepcopy(service)
    (group,) = changed["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    group["template"]["spec"]["containers"][0]["env"].append({"name": "ANY", "value": "1"})
    local.apply(changed)
    local.until(lambda s: condition(s, "UpgradeInProgress"), "a pending cluster")
    assert echoes(client)  # from the first one
    state = local.until(lambda s: serves(s) and cluster(s) != cluster(old), "the switch-over")
    assert echoes(client)
    local.until(lambda s: s["clusters"] == [cluster(state)], "the end of the first")
    assert not any(psutil.pid_exists(pid) for node in workers(old) for pid in node["pids"])
    assert echoes(client)


def test_nothing_is_left_behind(service: dict[str, Any]) -> None:
    """Also when it is stopped in the middle of its start."""
    with Local(service) as local:
        state = local.until(
            lambda s: len(s.get("pendingServiceStatus", {}).get("nodes", [])) == 2, "nodes"
        )
        pids = [pid for node in state["pendingServiceStatus"]["nodes"] for pid in node["pids"]]
        assert pids
        port = local.target.port
        family = local.family()
        local.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not [process for process in family if process.is_running()]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
