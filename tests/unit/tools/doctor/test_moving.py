"""A service, its cluster and its machines in motion, in ways the recorded run didn't meet."""

from datetime import UTC, datetime

import pytest

from tests.unit.tools.doctor.cluster import Json, changed, look
from tests.unit.tools.doctor.test_neighbours import ACTIVE, WITH_REDIS, condition, pod_of, says


def test_an_operator_that_is_away() -> None:
    def unseen(known: Json) -> None:
        known["rayservices"][0]["metadata"]["generation"] = 3

    word, code, said, _ = says(changed("ready", unseen))
    assert (word, code) == ("changing", 3)
    assert "generation 3 was asked for, it knows 2" in said

    def none(known: Json) -> None:
        known["rayservices"][0]["status"] = {}
        known.update(rayclusters=[], pods=[], events=[])

    word, code, said, _ = says(changed("ready", none))
    assert (word, code) == ("failed", 1)
    assert "no operator looks after the service" in said


def test_all_workers_are_lost() -> None:
    def all_gone(known: Json) -> None:
        status = known["rayservices"][0]["status"]
        message = "Number of serve endpoints dropped to 0"
        condition(status, "Ready", "False", "ZeroServeEndpoints", message)
        condition(pod_of(known, ACTIVE, "worker")["status"], "Ready", "False")

    word, code, said, _ = says(changed("worker-killed-5s", all_gone))
    assert (word, code) == ("away", 1)
    assert "Number of serve endpoints dropped to 0" in said
    assert "is being replaced" in said


@pytest.mark.parametrize("gone", [True, False])
def test_somebody_deletes_the_cluster_that_serves(gone: bool) -> None:
    def deleted(known: Json) -> None:
        if gone:
            known.update(rayclusters=[], pods=[], serve={})
        else:
            goes = {"deletionTimestamp": "2026-11-28T20:40:00Z"}
            known["rayclusters"][0]["metadata"] |= goes

    word, code, said, _ = says(changed("ready", deleted))
    assert (word, code) == ("away", 1)
    assert f"RayCluster tandem-8tgk9, which served, is {'gone' if gone else 'being deleted'}" in said


def test_somebody_takes_the_applications_away() -> None:
    def shut_down(known: Json) -> None:
        known["serve"][ACTIVE]["applications"] = {}

    word, code, said, _ = says(changed("ready", shut_down))
    assert (word, code) == ("degraded", 1)
    assert "Serve has no application on tandem-8tgk9" in said
    assert "change serveConfigV2" in said


def test_just_applied() -> None:
    def fresh(known: Json) -> None:
        known["rayservices"][0]["status"] = {}
        known.update(rayclusters=[], pods=[], events=[], serve={})

    at = datetime(2026, 11, 28, 20, 36, 21, tzinfo=UTC)  # two seconds after it
    state, causes, _ = look(changed("starting", fresh), now=at)
    assert (state.word, state.exit_code) == ("starting", 3)
    assert causes[0].what == "the operator hasn't looked at it yet"


def test_it_was_told_to_hold() -> None:
    def suspended(known: Json) -> None:
        condition(known["rayservices"][0]["status"], "Suspended", "True", "SuspendComplete")
        known["rayservices"][0]["status"]["activeServiceStatus"] = {}
        known.update(rayclusters=[], pods=[])

    word, code, said, _ = says(changed("ready", suspended))
    assert (word, code) == ("suspended", 1)
    assert (
        """kubectl -n tandem patch rayservice tandem --type=merge -p '{"spec":{"suspend":false}}'"""
        in said
    )


def test_the_operator_has_given_up() -> None:
    def given_up(known: Json) -> None:
        message = "RayService initialization exceeded timeout of 5m0s"
        condition(known["rayservices"][0]["status"], "Ready", "False", "InitializingTimeout", message)

    word, code, said, _ = says(changed("starting-head-up", given_up))
    assert (word, code) == ("failed", 1)
    assert "exceeded timeout of 5m0s" in said


def test_an_upgrade_step_by_step_and_back() -> None:
    def stepping(known: Json) -> None:
        service = known["rayservices"][0]
        service["spec"]["upgradeStrategy"] = {"type": "NewClusterWithIncrementalUpgrade"}
        service["status"]["activeServiceStatus"]["trafficRoutedPercent"] = 80
        service["status"]["pendingServiceStatus"]["trafficRoutedPercent"] = 20

    def back(known: Json) -> None:
        condition(known["rayservices"][0]["status"], "RollbackInProgress", "True")

    said = says(changed("went-back-third-cluster", stepping))[2]
    assert "80 % of the requests go to tandem-8tgk9, 20 % to tandem-2phx5" in said
    word, code, said, _ = says(changed("went-back-third-cluster", stepping, back))
    assert (word, code) == ("upgrading", 3)
    assert "an upgrade is being taken back" in said


def test_after_an_upgrade_the_old_cluster_drains() -> None:
    """The active one is new, and the pods of the one before are told to go: it is ready."""

    def switched(known: Json) -> None:
        service = known["rayservices"][0]["status"]
        service["activeServiceStatus"]["rayClusterName"] = "tandem-new22"
        for one in [known["rayclusters"][0], *known["pods"]]:
            copy: Json = {**one, "metadata": {**one["metadata"]}}
            name = copy["metadata"]["name"].replace("8tgk9", "new22")
            copy["metadata"] |= {"name": name, "creationTimestamp": "2026-11-28T21:00:00Z"}
            if one["metadata"].get("labels", {}).get("ray.io/cluster"):
                copy["metadata"]["labels"] = {
                    **one["metadata"]["labels"],
                    "ray.io/cluster": "tandem-new22",
                }
                known["pods"] = [*known["pods"], copy]
                one["metadata"]["deletionTimestamp"] = "2026-11-28T21:02:00Z"
            else:
                known["rayclusters"] = [*known["rayclusters"], copy]
        known["serve"] = {}

    assert says(changed("ready", switched))[:2] == ("ready", 0)


def test_a_worker_that_its_machine_sends_away() -> None:
    """A drained machine: the worker is told to go, and another one comes."""

    def drained(known: Json) -> None:
        old = pod_of(known, ACTIVE, "worker", 1)
        old["metadata"] |= {
            "deletionTimestamp": "2026-11-28T20:40:16Z",
            "deletionGracePeriodSeconds": 90,
        }
        known["events"] = []

    word, code, said, _ = says(changed("scaling-pod-requested", drained))
    assert (word, code) == ("recovering", 3)
    assert "a worker of tandem-8tgk9 leaves, and is being replaced" in said


def test_a_worker_that_was_evicted() -> None:
    def evicted(known: Json) -> None:
        status = pod_of(known, ACTIVE, "worker", 1)["status"]
        status |= {
            "phase": "Failed",
            "reason": "Evicted",
            "message": "The node was low on resource: memory",
        }
        known["events"] = []

    word, code, said, _ = says(changed("worker-replaced", evicted))
    assert (word, code) == ("recovering", 3)
    assert "ended (Evicted: The node was low on resource: memory)" in said


def test_a_head_whose_container_starts_again_for_lack_of_memory() -> None:
    """Without an autoscaler pods stay and their containers are started again: all is lost as well."""

    def killed(known: Json) -> None:
        status = pod_of(known, ACTIVE, "head")["status"]
        ended = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-28T20:40:00Z"}
        status["containerStatuses"][0] |= {
            "ready": False,
            "restartCount": 1,
            "lastState": {"terminated": ended},
            "state": {"running": {"startedAt": "2026-11-28T20:40:01Z"}},
        }
        condition(status, "Ready", "False")
        condition(known["rayclusters"][0]["status"], "HeadPodReady", "False", "ContainersNotReady")

    word, code, said, _ = says(changed("ready", killed))
    assert (word, code) == ("away", 1)
    assert said.startswith(
        "tandem is away: container ray-head of tandem-8tgk9-head-bspnn was killed: mem"
    )
    assert "since 2026-11-28T20:40:01Z" in said


def test_a_cluster_held_back_by_its_job_while_the_namespace_stays() -> None:
    """`kubectl delete -k` took Redis first: the job that is to clean it up finds none."""

    def deleted(known: Json) -> None:
        gone = {"deletionTimestamp": "2026-11-28T20:48:25Z"}
        known["namespace"] = {"metadata": {"name": "tandem"}, "status": {"phase": "Active"}}
        known["rayservices"][0]["metadata"] |= gone
        known["rayclusters"][0]["metadata"] |= gone
        known["rayclusters"][0]["status"]["conditions"] = []
        job = {"ray.io/cluster": WITH_REDIS, "ray.io/node-type": "redis-cleanup"}
        known["pods"] = [
            {"metadata": {"name": "cleanup-x", "labels": job}, "status": {"phase": "Running"}}
        ]

    known = changed("namespace-terminating-for-ever", deleted)
    word, code, said, causes = says(known)
    assert (word, code) == ("deleting", 1)
    assert "the job's pod cleanup-x is Running" in said
    assert "take it off 300 s after the RayCluster was told to go (2026-11-28T20:48:25Z)" in said
    (cause,) = causes
    patch = "kubectl -n tandem patch raycluster tandem-cq5hg --type=merge -p "
    assert cause.wait
    assert cause.next == "wait; to end it at once: " + patch + """'{"metadata":{"finalizers":null}}'"""
    assert " delete " not in cause.next  # it has been told to go


def test_a_namespace_that_goes_while_pods_still_stop() -> None:
    def going(known: Json) -> None:
        known["namespace"]["metadata"]["deletionTimestamp"] = "2026-11-28T20:43:00Z"

    word, code, said, _ = says(changed("deleting", going))
    assert (word, code) == ("deleting", 1)
    assert "its namespace tandem is, and what runs stops" in said
    assert "next: wait" in said


def test_only_the_resource_is_left() -> None:
    def left(known: Json) -> None:
        known["rayservices"][0]["metadata"]["deletionTimestamp"] = "2026-11-28T20:48:25Z"
        known["namespace"] = {"metadata": {"name": "tandem"}}
        known["rayclusters"] = []

    word, code, said, _ = says(changed("namespace-terminating-for-ever", left))
    assert (word, code) == ("deleting", 1)
    assert "only the RayService is left" in said
    assert "ray.io/rayservice-finalizer" in said
    assert "kubectl -n tandem patch rayservice tandem --type=merge -p" in said
