"""What lies around a service: rights, quotas, volumes, networks, Redis, machines, its operator."""

from datetime import UTC, datetime
from typing import Any

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.doctor.kubernetes import from_kubernetes
from tests.unit.tools.doctor.cluster import Answers, Json, changed, look, recorded
from tests.unit.tools.doctor.test_neighbours import (
    ACTIVE,
    PENDING,
    condition,
    event,
    pod_of,
    says,
)

QUOTA = (
    'pods "tandem-6wpf2-head-" is forbidden: exceeded quota: tandem, requested: requests.cpu=1, used: …'
)


def without(*names: str) -> Any:
    """Those pods aren't there."""

    def change(known: Json) -> None:
        known["pods"] = [
            one for one in known["pods"] if not any(name in one["metadata"]["name"] for name in names)
        ]

    return change


def test_a_quota_that_an_upgrade_runs_into() -> None:
    def full(known: Json) -> None:
        (pending,) = (one for one in known["rayclusters"] if one["metadata"]["name"] == PENDING)
        condition(pending["status"], "ReplicaFailure", "True", "FailedCreateHeadPod", QUOTA)

    word, code, said, _ = says(changed("upgrade-began", full, without("tandem-6wpf2-")))
    assert (word, code) == ("upgrading", 1)
    assert said.startswith(
        "tandem serves, and its upgrade can't go on: the namespace's quota is used up"
    )
    assert "kubectl -n tandem describe resourcequota" in said


def test_a_quota_that_was_full_once_is_nothing() -> None:
    def once(known: Json) -> None:
        known["events"].append(event("FailedToCreateWorkerPod", QUOTA, ACTIVE))

    assert says(changed("ready", once))[:2] == ("ready", 0)


def test_pods_that_the_api_server_refuses() -> None:
    def refused(known: Json) -> None:
        message = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
        condition(
            known["rayclusters"][0]["status"], "ReplicaFailure", "True", "FailedCreateHeadPod", message
        )

    word, code, said, _ = says(changed("starting", refused, without("tandem-8tgk9-")))
    assert (word, code) == ("failed", 1)
    assert "violates PodSecurity" in said


@pytest.mark.parametrize("count", [{"count": 12}, {"series": {"count": 12}}])
def test_an_operator_that_does_not_reach_the_dashboard(count: Json) -> None:
    """A network policy lets it in from its own namespace alone, say. The first try may always fail."""

    def refused(known: Json) -> None:
        message = (
            f"Failed to update serve applications to the RayCluster tandem/{ACTIVE}: fail to create "
        )
        message += f'/ update Serve applications. err: Put "http://{ACTIVE}-head-svc.tandem.svc.cluster.'
        message += 'local:8265/api/serve/applications/": context deadline exceeded'
        known["events"] = [event("FailedToUpdateServeApplications", message, "tandem", **count)]
        known["serve"] = {}

    word, code, said, _ = says(changed("starting-head-up", refused))
    assert (word, code) == ("failed", 1)
    assert said.startswith(f"tandem isn't ready: the operator doesn't reach the dashboard of {ACTIVE}")
    assert "context deadline exceeded" in said
    assert "get networkpolicies" in said


@pytest.mark.parametrize(("minute", "found"), [(37, ("starting", 3)), (50, ("failed", 1))])
def test_a_worker_that_does_not_reach_its_head(minute: int, found: tuple[str, int]) -> None:
    """Its first container asks for the GCS: half a minute is nothing, with a head that is ready."""

    def waits(known: Json) -> None:
        status = pod_of(known, ACTIVE, "worker")["status"]
        running = {"running": {"startedAt": "2026-11-28T20:36:30Z"}}
        status["initContainerStatuses"] = [{"name": "wait-gcs-ready", "state": running}]

    now = datetime(2026, 11, 28, 20, minute, 10, tzinfo=UTC)
    state, causes, _ = look(changed("starting-head-up", waits), now=now)
    assert (state.word, state.exit_code) == found
    assert any("doesn't reach its head" in one.what for one in causes) is (found[0] == "failed")


def redis_gone(known: Json) -> None:
    known["pods"] = [one for one in known["pods"] if one["metadata"]["name"] != "redis-0"]


def test_redis_is_gone_and_the_head_lives() -> None:
    word, code, said, _ = says(changed("ready-base", redis_gone))
    assert (word, code) == ("degraded", 1)
    assert said.startswith("tandem serves, but not all of it is ready: Redis at redis:6379 isn't there")
    assert "no pod is behind its service" in said


def test_redis_is_gone_and_the_head_too() -> None:
    word, code, said, _ = says(changed("head-killed-with-redis", redis_gone))
    assert (word, code) == ("degraded", 1)
    assert said.startswith("tandem serves, but not all of it is ready: Redis at redis:6379 isn't there")
    assert "the head of tandem-cq5hg was lost" in said


@pytest.mark.parametrize("address", ["redis://redis:6379", "redis.tandem:6379", "redis.tandem.svc"])
def test_redis_by_other_addresses(address: str) -> None:
    def elsewhere(known: Json) -> None:
        known["rayclusters"][0]["spec"]["gcsFaultToleranceOptions"]["redisAddress"] = address

    assert says(changed("ready-base", elsewhere))[:2] == ("ready", 0)
    assert f"Redis at {address} isn't there" in says(changed("ready-base", elsewhere, redis_gone))[2]


def test_the_service_of_redis_is_gone() -> None:
    def deleted(known: Json) -> None:
        known["services"] = []

    assert "Redis at redis:6379 isn't there" in says(changed("ready-base", deleted))[2]
    assert look(changed("ready-base", deleted), "services")[0].word == "ready"  # nobody knows


def test_redis_of_another_namespace_is_not_looked_for() -> None:
    def elsewhere(known: Json) -> None:
        redis_gone(known)
        options = known["rayclusters"][0]["spec"]["gcsFaultToleranceOptions"]
        options["redisAddress"] = "redis.databases.svc:6379"

    assert says(changed("ready-base", elsewhere))[:2] == ("ready", 0)


def test_redis_waits_for_its_volume() -> None:
    def waits(known: Json) -> None:
        (redis,) = (one for one in known["pods"] if one["metadata"]["name"] == "redis-0")
        redis["spec"] = {"volumes": [{"persistentVolumeClaim": {"claimName": "data-redis-0"}}]}
        message = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
        redis["status"] = {"phase": "Pending", "conditions": []}
        condition(redis["status"], "PodScheduled", "False", "Unschedulable", message)
        none = "no persistent volumes available for this claim and no storage class is set"
        known["events"].append(event("FailedBinding", none, "data-redis-0"))

    word, code, said, _ = says(changed("ready-base", waits))
    assert (word, code) == ("degraded", 1)
    assert "pod redis-0 waits for its volume" in said
    assert "no storage class is set" in said
    assert "kubectl -n tandem get pvc,storageclass" in said


def scale_up(reason: str) -> Any:
    def change(known: Json) -> None:
        name = f"{PENDING}-cpu-worker-mrsvr"
        said = "pod triggered scale-up: [{pool-1 3->4 (max: 9)}]"
        known["events"].append(
            event(reason, said if reason == "TriggeredScaleUp" else "max size reached", name)
        )

    return change


def test_a_machine_is_on_its_way() -> None:
    word, code, said, causes = says(changed("upgrade-unschedulable", scale_up("TriggeredScaleUp")))
    assert (word, code) == ("upgrading", 3)
    assert "waits for a machine" in said
    assert "pool-1 3->4" in said
    assert all(one.wait for one in causes)


def test_no_machine_will_come() -> None:
    word, code, said, _ = says(changed("upgrade-unschedulable", scale_up("NotTriggerScaleUp")))
    assert (word, code) == ("upgrading", 1)
    assert "max size reached" in said


def test_kubernetes_may_not_be_read() -> None:
    state, causes, snapshot = look(recorded("ready"), "pods", "events", "exec", "namespace")
    assert (state.word, state.exit_code) == ("ready", 0)
    assert [one.partition(" can't")[0] for one in snapshot.unseen] == ["pods", "events"]
    assert not causes
    with pytest.raises(ConfigError, match="Forbidden"):
        from_kubernetes("tandem", "tandem", Answers(recorded("ready"), ("rayservices.ray.io",)))


def test_a_service_that_never_was() -> None:
    with pytest.raises(ConfigError, match="not found"):
        from_kubernetes("other", "tandem", Answers(recorded("ready")))


def test_pods_of_somebody_elses_cluster_are_not_looked_at() -> None:
    """A RayCluster with a name as the operator would make it, that isn't this service's."""

    def foreign(known: Json) -> None:
        known["rayclusters"].append({"metadata": {"name": "tandem-local"}})
        pod = pod_of(changed("upgrade-began"), PENDING, "worker")
        pod["metadata"]["labels"]["ray.io/cluster"] = "tandem-local"
        known["pods"].append(pod)

    assert says(changed("ready", foreign))[:2] == ("ready", 0)
