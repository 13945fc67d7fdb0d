"""Twenty-one states of a service as a real cluster showed them: Kubernetes 1.36, KubeRay of August 2026,
Ray 2.60. What was so in each is known from the run itself, and is what doctor has to say."""

import json
from typing import Any, NamedTuple

import pytest

from serve_app.tools.doctor.command import as_data, text
from serve_app.tools.doctor.state import SENTENCES
from tests.server import ROOT
from tests.unit.tools.doctor.cluster import RECORDED, look, recorded


class Was(NamedTuple):
    """The state's word, whether requests were answered, the exit status; and words of the report."""

    word: str
    serves: bool
    code: int
    says: tuple[str, ...] = ()


READY = Was("ready", True, 0, ("tandem is ready",))
RECOVERING = (
    "recovering", "1 of 2 workers are ready", "since 2026-11-28T20:39:46Z",
    "tandem-8tgk9-cpu-worker-z8b7g starts in its place", "next: wait",
)  # fmt: skip
STATES = {
    # 4 s and 25 s after `kubectl apply`: pods come up, nothing is deployed yet.
    "starting": Was("starting", False, 3, (
        "since 2026-11-28T20:36:19Z (4 s ago)", "waits for the head", "next: wait")),
    "starting-head-up": Was("starting", False, 3, (
        "waits for Serve", "since 2026-11-28T20:36:19Z", "next: wait")),
    "ready": READY,
    "ready-base": READY,
    # An unknown key in the args of `sentences`, whose replicas ran on.
    "refused-args": Was("refused", True, 1, (
        "serves, but not what was last asked for", "the change of application 'sentences' is refused",
        "args.timeoutSeconds: unknown key", "these run: tandem", "kubectl -n tandem apply -f")),
    "refused-args-mended": READY,
    # A second replica may not share its node; the autoscaler asked for a pod at 20:38:46.
    "scaling-pod-requested": Was("scaling", True, 3, (
        "1 of 2 workers are ready", "deployment ModelReplica of application 'sentences' runs 1 of 2",
        "pod tandem-8tgk9-cpu-worker-4pr25 starts, asked for by the autoscaler 5 s ago", "next: wait")),
    "scaling-pod-starting": Was("scaling", True, 3, ("tandem-8tgk9-cpu-worker-4pr25", "next: wait")),
    "scaled": READY,
    # One of two workers killed with SIGKILL at 20:39:46. Half a minute later another one had its
    # replica: all answers are those of worker-replaced.
    "worker-killed-5s": Was("recovering", True, 3, RECOVERING),
    "worker-killed-30s": READY,
    "worker-replaced": READY,
    # The new cluster's worker asks for 20 CPUs, which no node has; the old cluster served on.
    "upgrade-began": Was("upgrading", True, 1, (
        "serves, and its upgrade can't go on: pod tandem-6wpf2-cpu-worker-mrsvr finds no machine",
        "cpu 20", "0/4 nodes are available: 4 Insufficient cpu", "take over from tandem-8tgk9")),
    "upgrade-unschedulable": Was("upgrading", True, 1, (
        "its upgrade can't go on: pod tandem-6wpf2-cpu-worker-mrsvr finds no machine",
        "cpu 20", "0/4 nodes are available: 4 Insufficient cpu", "since 2026-11-28T20:40:30Z")),
    # The old manifest applied again meanwhile, and KubeRay made a third cluster of it.
    "went-back-third-cluster": Was("upgrading", True, 3, (
        "tandem-2phx5 gets ready to take over from tandem-8tgk9",
        "the third cluster: tandem-6wpf2 was being made when the spec changed again",
        "even back to what tandem-8tgk9 has", "asks for 1 CPU and 7Gi", "next: wait")),
    # The head of the cluster that served killed at 20:42:04, without Redis: clients failed.
    "head-killed-without-redis": Was("away", False, 1, (
        "tandem is away: the head of tandem-8tgk9 was lost", "since 2026-11-28T20:42:05Z",
        "without GCS fault tolerance", "ends: when the head is ready", "gcsFaultToleranceOptions")),
    "head-killed-without-redis-40s": Was("away", False, 1, (
        "tandem is away: the head of tandem-8tgk9 was lost", "since 2026-11-28T20:42:05Z",
        "it is ready, its workers are not yet", "gcsFaultToleranceOptions")),
    # The same with Redis: the workers served on.
    "head-killed-with-redis": Was("recovering", True, 3, (
        "the head of tandem-cq5hg was lost", "since 2026-11-28T20:47:34Z", "no change can be made",
        "ends: when tandem-cq5hg-head-lbrtg is ready", "next: wait")),
    "head-back-with-redis": READY,
    # The RayService deleted at 20:43:18; five pods had 90 s to stop.
    "deleting": Was("deleting", False, 1, (
        "tandem is being deleted", "since 2026-11-28T20:43:19Z", "5 pods stop",
        "20:44:49Z at the latest")),
    # The namespace deleted with Redis in it; the RayCluster's finalizer waited for a job that may
    # not be made there any more.
    "namespace-terminating-for-ever": Was("deleting", False, 1, (
        "since 2026-11-28T20:48:25Z", "RayCluster tandem-cq5hg is held back",
        "ray.io/gcs-ft-redis-cleanup-finalizer",
        "kubectl -n tandem delete raycluster tandem-cq5hg --wait=false",
        "kubectl -n tandem patch raycluster tandem-cq5hg --type=merge "
        "-p '{\"metadata\":{\"finalizers\":null}}'")),
}  # fmt: skip


def test_every_recorded_state_has_its_row() -> None:
    assert {path.stem for path in RECORDED.glob("*.json")} == set(STATES)


@pytest.mark.parametrize("name", STATES)
def test_what_was_so_is_said(name: str) -> None:
    was = STATES[name]
    state, causes, snapshot = look(recorded(name))
    said = text(snapshot, state, causes)
    assert (state.word, state.serves, state.exit_code) == was[:3], said
    assert [one for one in was.says if one not in said] == [], said
    found: dict[str, Any] = json.loads(as_data(snapshot, state, causes))
    assert found["state"] == was.word
    assert found["ready"] is (was.code == 0)
    assert found["wait"] is (was.code == 3)


@pytest.mark.parametrize("name", STATES)
def test_what_to_do_next_works_on_kubernetes(name: str) -> None:
    """Nobody deploys to a cluster of the operator's, and every cause has a command or tells to wait."""
    _, causes, _ = look(recorded(name))
    for one in causes:
        assert "serve deploy" not in one.next
        assert "tandem deploy" not in one.next
        assert "kubectl" in one.next
        assert not one.wait or one.next.startswith("wait; kubectl -n tandem ")


# Whoever may not run commands in pods has the operator's word for Serve's, which is a little older.
@pytest.mark.parametrize("name", STATES)
def test_a_deployer_may_not_ask_serve_itself(name: str) -> None:
    state, _, _ = look(recorded(name), "exec", "namespace")
    assert (state.word, state.serves, state.exit_code) == STATES[name][:3]


@pytest.mark.parametrize("name", sorted(set(STATES) - {"scaling-pod-starting", "worker-killed-5s"}))
def test_without_events(name: str) -> None:
    snapshot = look(recorded(name))[2]  # the clock of that day
    state, causes, found = look(recorded(name), "events", "exec", now=snapshot.now)
    assert (state.word, state.serves, state.exit_code) == STATES[name][:3]
    said = text(found, state, causes)
    assert "events can't be read (Error from server (Forbidden)" in said


def test_a_worker_on_its_way_is_seen_without_events() -> None:
    snapshot = look(recorded("worker-killed-5s"))[2]
    state, _, _ = look(recorded("worker-killed-5s"), "events", "exec", now=snapshot.now)
    assert (state.word, state.wait) == ("scaling", True)  # nothing says that another one was lost


def test_answers_of_another_day_are_looked_at_by_their_own_clock() -> None:
    assert look(recorded("starting"))[2].now.isoformat() == "2026-11-28T20:36:23+00:00"


# Of pods the clusters' conditions tell as much as whether the head answers.
@pytest.mark.parametrize(
    "name", ["starting", "ready", "refused-args", "went-back-third-cluster", "head-killed-with-redis"]
)
def test_without_pods(name: str) -> None:
    snapshot = look(recorded(name))[2]
    state, _, _ = look(recorded(name), "pods", "exec", now=snapshot.now)
    assert (state.word, state.serves, state.exit_code) == STATES[name][:3]


def test_every_state_is_in_the_documentation() -> None:
    rows = (ROOT / "docs/doctor.md").read_text().splitlines()
    documented = {row.split("`")[1] for row in rows if row.startswith("| `")}
    assert documented == set(SENTENCES)
