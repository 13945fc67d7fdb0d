"""What the recorded run didn't meet: the same answers with something else in them, as their schemas and
the operator's code have it."""

import random
from typing import Any

import pytest

from serve_app.tools.doctor.causes import Cause
from serve_app.tools.doctor.command import text
from tests.unit.tools.doctor.cluster import Change, Json, changed, look, recorded
from tests.unit.tools.doctor.test_recorded import STATES

ACTIVE, PENDING = "tandem-8tgk9", "tandem-6wpf2"
WITH_REDIS = "tandem-cq5hg"


def pod_of(known: Json, cluster: str, role: str, number: int = 0) -> Json:
    def fits(labels: Json) -> bool:
        return (labels.get("ray.io/cluster"), labels.get("ray.io/node-type")) == (cluster, role)

    found: list[Json] = [one for one in known["pods"] if fits(one["metadata"].get("labels") or {})]
    return found[number]


def waits(cluster: str, role: str, reason: str, message: str = "") -> Change:
    """A container of that pod that isn't up."""

    def change(known: Json) -> None:
        pod = pod_of(known, cluster, role)
        state = {"waiting": {"reason": reason, "message": message}}
        box = pod["spec"]["containers"][0]["name"]
        status = {"name": box, "image": "registry.example/tandem:9", "ready": False, "state": state}
        pod["status"]["containerStatuses"] = [status]
        condition(pod["status"], "Ready", "False")

    return change


def condition(status: Json, kind: str, value: str, reason: str = "", message: str = "") -> None:
    found = [one for one in status["conditions"] if one["type"] != kind]
    new = {"type": kind, "status": value, "reason": reason, "message": message}
    status["conditions"] = [*found, {**new, "lastTransitionTime": "2026-11-28T20:40:00Z"}]


def event(reason: str, message: str, of: str, at: str = "2026-11-28T20:40:20Z", **more: Any) -> Json:
    return {
        "reason": reason,
        "message": message,
        "eventTime": at,
        "involvedObject": {"name": of},
        **more,
    }


def says(known: Json, *may_not: str) -> tuple[str, int, str, list[Cause]]:
    state, causes, snapshot = look(known, *may_not)
    return state.word, state.exit_code, text(snapshot, state, causes), causes


@pytest.mark.parametrize("name", STATES)
def test_the_order_of_the_answers_is_nothing(name: str) -> None:
    def shuffle(known: Json) -> None:
        for kind in ("events", "pods", "rayclusters"):
            random.Random(7).shuffle(known[kind])

    state, _, _ = look(changed(name, shuffle))
    assert (state.word, state.serves, state.exit_code) == STATES[name][:3]


@pytest.mark.parametrize(
    ("state", "cluster", "word", "begins"),
    [
        ("starting", ACTIVE, "failed", "tandem isn't ready: image registry.example/tandem:9 can't"),
        ("upgrade-began", PENDING, "upgrading", "tandem serves, and its upgrade can't go on: image "),
    ],
)
def test_an_image_that_cannot_be_pulled(state: str, cluster: str, word: str, begins: str) -> None:
    known = changed(state, waits(cluster, "head", "ImagePullBackOff", "not found"))
    found, code, said, _ = says(known)
    assert (found, code) == (word, 1)
    assert said.startswith(begins)


def no_room(free: str) -> str:
    return (
        "Deployment 'ModelReplica' in application 'sentences' has 1 replicas that have taken more than "
        "30s to be scheduled. This may be due to waiting for the cluster to auto-scale or for a runtime "
        'environment to be installed. Resources required for each replica: {"CPU": 1.0, "GPU": 0}, '
        f'total resources available: {{"CPU": {free}}}. Use `ray status` for more details.'
    )


def waiting_replica(free: str, *, by_serve: bool = True) -> Change:
    """One that has no node yet, though `free` CPUs are free in all."""

    def change(known: Json) -> None:
        message = {"status": "UPDATING", "message": no_room(free)}
        known["serve"][ACTIVE]["applications"]["sentences"]["deployments"]["ModelReplica"] |= message
        told = known["rayservices"][0]["status"]["activeServiceStatus"]["applicationStatuses"]
        told["sentences"]["serveDeploymentStatuses"]["ModelReplica"] = message
        config = """
applications:
  - name: sentences
    deployments: [{name: ModelReplica, max_replicas_per_node: 1}]
"""
        known["rayservices"][0]["spec"]["serveConfigV2"] = config
        if not by_serve:
            known["serve"] = {}

    return change


def no_more_workers(known: Json) -> None:
    known["pods"] = [one for one in known["pods"] if "4pr25" not in one["metadata"]["name"]]
    known["rayclusters"][0]["status"]["desiredWorkerReplicas"] = 1


@pytest.mark.parametrize("by_serve", [True, False])
def test_a_node_for_a_replica_is_on_its_way(by_serve: bool) -> None:
    """3.5 CPUs are free, one is asked for: max_replicas_per_node is why, and a pod was asked for."""
    known = changed("scaling-pod-requested", waiting_replica("3.5", by_serve=by_serve))
    word, code, said, causes = says(known)
    assert (word, code) == ("scaling", 3)
    assert "max_replicas_per_node: 1 lets no more of them onto a node that has one" in said
    assert "4pr25 is on its way, asked for 5 s ago" in said
    assert all(one.wait for one in causes)


def test_no_node_is_on_its_way_because_the_group_is_full() -> None:
    def full(known: Json) -> None:
        known["rayclusters"][0]["spec"]["workerGroupSpecs"][0]["maxReplicas"] = 1

    known = changed("scaling-pod-requested", waiting_replica("3.5"), no_more_workers, full)
    word, code, said, _ = says(known)
    assert (word, code) == ("degraded", 1)
    assert "max_replicas_per_node: 1 lets no more" in said
    assert "group cpu has 1 of at most 1 workers (maxReplicas)" in said


def test_no_node_comes_without_an_autoscaler() -> None:
    def by_hand(known: Json) -> None:
        del known["rayclusters"][0]["spec"]["enableInTreeAutoscaling"]

    known = changed("scaling-pod-requested", waiting_replica("0.5"), no_more_workers, by_hand)
    word, code, said, _ = says(known)
    assert (word, code) == ("degraded", 1)
    assert "no node has that free" in said
    assert "no autoscaler makes more" in said
    known = changed("scaling-pod-requested", by_hand)
    assert "asked for by the operator 5 s ago" in says(known)[2]


UNHEALTHY = (
    "A replica's health check failed. This deployment will be UNHEALTHY until the replica recovers or a "
    "new deploy happens."
)
GAVE_UP = (
    "The deployment failed to start 3 times in a row. This may be due to a problem with its constructor "
    "or initial health check failing. See controller logs for details. Error:\nValueError: no weights"
)


def unwell(message: str, status: str = "UNHEALTHY") -> Change:
    def change(known: Json) -> None:
        said = {"status": status, "message": message}
        apps = known["serve"][ACTIVE]["applications"]
        for app in apps.values():
            app["status"] = status
            for deployment in app["deployments"].values():
                deployment |= said

    return change


def test_replicas_that_died_with_their_node_are_replaced() -> None:
    """Three deployments lose theirs: Serve starts others, and nobody has to mend anything."""
    word, code, said, causes = says(changed("worker-killed-5s", unwell(UNHEALTHY)))
    assert (word, code) == ("recovering", 3)
    assert sum("died, and Serve starts others" in one.what for one in causes) == 3
    assert "mend" not in said


def test_replicas_that_never_start() -> None:
    word, code, said, _ = says(changed("ready", unwell(GAVE_UP)))
    assert (word, code) == ("degraded", 1)
    assert "ValueError: no weights" in said
    assert "Serve has given up" in said
    assert "kubectl -n tandem apply -f" in said


def test_a_first_deploy_that_fails() -> None:
    def first(known: Json) -> None:
        status = known["rayservices"][0]["status"]
        status["pendingServiceStatus"] = status["activeServiceStatus"]
        status["activeServiceStatus"] = {}
        condition(status, "Ready", "False", "Initializing")

    word, code, said, _ = says(changed("refused-args", first))
    assert (word, code) == ("failed", 1)
    assert said.startswith("tandem isn't ready: application 'sentences' is DEPLOY_FAILED")
    assert "args.timeoutSeconds: unknown key" in said


def test_serve_refuses_the_config_as_a_whole() -> None:
    def refused(known: Json) -> None:
        text = f"Failed to update serve applications to the RayCluster tandem/{ACTIVE}: err: "
        text += "UpdateDeployments fail: 400 Bad Request 1 validation error for ServeDeploySchema"
        known["events"].append(event("FailedToUpdateServeApplications", text, "tandem"))

    word, code, said, _ = says(changed("ready", refused))
    assert (word, code) == ("refused", 1)
    assert "1 validation error" in said


def test_a_worker_without_a_replica_is_a_note_where_there_is_something_to_say() -> None:
    def idle(known: Json) -> None:
        pod = pod_of(known, ACTIVE, "worker")
        condition(pod["status"], "Ready", "False")
        pod["metadata"]["creationTimestamp"] = "2026-11-28T20:00:00Z"

    assert says(changed("refused-args-mended", idle))[:3] == ("ready", 0, "tandem is ready")
    assert (
        "q4g89 is NotReady: a worker without a replica is, by design"
        in says(changed("refused-args", idle))[2]
    )
    assert "by design" not in says(recorded("head-killed-without-redis-40s"))[2]
