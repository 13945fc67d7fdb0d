"""A Ray cluster, read from the resource that asks for it."""

import math
from typing import Any

import pytest

from serve_app.tools.kube.ray_cluster import Group, RayCluster


def resource(kind: str, **cluster: Any) -> dict[str, Any]:
    spec = {"RayService": {"rayClusterConfig": cluster}, "RayJob": {"rayClusterSpec": cluster}}
    return {"kind": kind, "spec": spec.get(kind, cluster)}


def group(head: bool = False, container: dict[str, Any] | None = None, **fields: Any) -> Group:
    template = {"spec": {"containers": [container or {}]}}
    return Group("g", head, (), {"template": template, **fields})


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("RayService", ("spec", "rayClusterConfig")),
        ("RayJob", ("spec", "rayClusterSpec")),
        ("RayCluster", ("spec",)),
    ],
)
def test_it_is_found_where_each_kind_has_it(kind: str, place: tuple[str, ...]) -> None:
    found = RayCluster.of(
        resource(kind, headGroupSpec={"a": 1}, workerGroupSpecs=[{"groupName": "cpu"}, {}])
    )
    assert found is not None
    assert found.place == place
    assert [one.name for one in found.groups] == ["head", "cpu", "1"]
    assert found.groups[1].box == (
        *place, "workerGroupSpecs", 0, "template", "spec", "containers", 0,
    )  # fmt: skip


@pytest.mark.parametrize("data", [{}, {"kind": "Service"}, {"kind": "RayService", "spec": None}])
def test_where_there_is_none(data: dict[str, Any]) -> None:
    assert RayCluster.of(data) is None


def test_sizes_come_from_limits_then_from_the_cpus_request() -> None:
    limits, requests = {"memory": "2Gi", "b/gpu": 2, "a/gpu": 1}, {"cpu": "1500m", "memory": "1Gi"}
    found = group(container={"resources": {"limits": limits, "requests": requests}})
    assert found.sizes == {"num-cpus": "1500m", "memory": "2Gi", "num-gpus": 1}
    assert found.offers == {"num_cpus": 2, "num_gpus": 1}
    assert group().sizes == {}
    assert group().offers == {"num_cpus": math.inf, "num_gpus": 0}  # Ray takes its machine's CPUs


def test_what_the_operator_makes_of_a_groups_own_resources_and_of_accelerators() -> None:
    limits = {"cpu": 4, "google.com/tpu": 4, "nvidia.com/mig-2g.32gb": 3}
    assert group(container={"resources": {"limits": limits}}).offers == {
        "num_cpus": 4,
        "num_gpus": 3,
        "TPU": 4,
    }
    found = group(resources={"CPU": "2", "nvidia.com/gpu": "1", "fast": "0.5"})
    assert found.offers == {"num_cpus": 2, "num_gpus": 1, "fast": 0.5}


@pytest.mark.parametrize("odd", [None, 3, "x", [], ["x"], {"a": []}, True])
def test_odd_types_are_nothing(odd: Any) -> None:
    for data in (
        {"template": odd, "rayStartParams": odd, "resources": odd},
        {"template": {"spec": {"containers": odd}}},
        {"template": {"spec": {"containers": [odd]}}},
        {"template": {"spec": {"containers": [{"env": odd, "ports": odd, "resources": odd}]}}},
        {"template": {"spec": {"containers": [{"resources": {"limits": odd, "requests": odd}}]}}},
    ):
        found = Group("g", False, (), data)
        assert isinstance(found.offers, dict)
        assert isinstance(found.env, dict)
        assert found.ports == {}
        assert found.count == 0
    cluster = RayCluster.of({"kind": "RayCluster", "spec": {"workerGroupSpecs": odd, "rayVersion": odd}})
    assert cluster is not None
    assert cluster.head.data == {}
    assert not cluster.autoscaled


def test_a_job_may_take_anothers_cluster() -> None:
    for data in (
        {"kind": "RayJob", "spec": {"clusterSelector": {"ray.io/cluster": "a"}}},
        {"kind": "RayCronJob", "spec": {"jobTemplate": {}}},
    ):
        found = RayCluster.of(data)
        assert found is not None
        assert (found.data, found.groups) == ({}, [])


def test_what_ray_start_is_told_comes_first_and_loses_its_quotes() -> None:
    params = {"num-cpus": '"0"', "resources": '"{\\"fast\\": 2}"', "odd": "it's"}
    found = group(container={"resources": {"limits": {"cpu": 4}}}, rayStartParams=params)
    assert found.params == {"num-cpus": "0", "resources": '{"fast": 2}', "odd": "it's"}
    assert found.offers == {"num_cpus": 0, "num_gpus": 0, "fast": 2}


def test_numbers_of_pods() -> None:
    assert (group(head=True, replicas=3).count, group(head=True).least) == (1, 1)
    assert group(minReplicas=2).count == 2
    assert group(minReplicas=2, replicas=1).count == 2
    assert group(minReplicas=0, replicas=3).count == 3


def test_variables_with_their_places() -> None:
    found = group(container={"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}, 3]})
    assert found.env == {"A": "1", "B": None}
    assert found.env_place("B")[-2:] == ("env", 1)
    assert found.env_place("C") == found.box
