"""What is wrong, from what Kubernetes, KubeRay and Serve say of a service."""

from typing import Any

import pytest

from serve_app.errors import NOT_HERE
from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.command import text
from serve_app.tools.doctor.diagnose import diagnose
from serve_app.tools.doctor.state import state_of

Json = dict[str, Any]


def report(snapshot: Snapshot, causes: list[Cause]) -> str:
    return text(snapshot, state_of(snapshot, causes), causes)


def service(**status: Any) -> Json:
    return {"metadata": {"name": "tandem"}, "spec": {"rayClusterConfig": {}}, "status": status}


def apps(**states: Any) -> Json:
    return {"rayClusterName": "tandem-abc", "applicationStatuses": states}


RUNNING = {"status": "RUNNING", "serveDeploymentStatuses": {"Router": {"status": "HEALTHY"}}}
CLUSTER = {"metadata": {"name": "tandem-abc"}}
READY = service(activeServiceStatus=apps(tandem=RUNNING))
WAITS = (
    "Deployment 'ModelReplica' in application 'm' has 1 replicas that have taken more than 30s to be "
    'scheduled. This may be due to waiting for the cluster to auto-scale. Resources required for each '
    'replica: {"CPU": 1.0, "GPU": 1.0}, total resources available: {"CPU": 3.0}. Use `ray status`.'
)  # fmt: skip


def pod(name: str = "p", conditions: list[Json] | None = None, **container: Any) -> Json:
    return {
        "metadata": {"name": name, "labels": {"ray.io/node-type": "worker"}},
        "spec": {"containers": [{"name": "ray", "resources": {"requests": {"cpu": "8"}}}]},
        "status": {"conditions": conditions or [], "containerStatuses": [{"name": "ray", **container}]},
    }


def waiting(reason: str, message: str = "", **more: Any) -> Json:
    return pod(image="tandem:9", state={"waiting": {"reason": reason, "message": message}}, **more)


def ended(code: int, reason: str = "Error") -> Json:
    state = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": "now"}}
    return pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=state, restartCount=3)


def event(message: str, reason: str = "FailedCreate") -> Json:
    return {"reason": reason, "message": message, "involvedObject": {"name": "tandem-abc"}}


def deploying(message: str, status: str = "DEPLOYING") -> Json:
    state = {"ModelReplica": {"status": "UPDATING", "message": message}}
    return service(activeServiceStatus=apps(m={"status": status, "serveDeploymentStatuses": state}))


UNSCHEDULABLE = [
    {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu.",
    }
]


@pytest.mark.parametrize(
    ("known", "what", "also"),
    [
        (
            {"pods": [waiting("ImagePullBackOff", "not found")]},
            "image tandem:9 can't be pulled",
            "isn't there",
        ),
        ({"pods": [waiting("ErrImagePull", "unauthorized")]}, "image tandem:9", "imagePullSecrets"),
        ({"pods": [pod(conditions=UNSCHEDULABLE)]}, "p finds no machine", "cpu 8\n    0/3 nodes"),
        ({"pods": [ended(137, "OOMKilled")]}, "was killed: memory", "higher memory limit"),
        (
            {"pods": [ended(1)], "logs": {"p": "a\nOSError: [Errno 98] Address already in use\n"}},
            "ends with 1",
            "a port is taken",
        ),
        (
            {"pods": [ended(1)], "logs": {"p": "RuntimeError: Version mismatch: Python 3.11 and 3.12"}},
            "ends with 1",
            "Ray or Python differ",
        ),
        (
            {"pods": [ended(1)], "logs": {"p": "Could not establish connection to Redis redis:6379."}},
            "ends with 1",
            "Redis can't be reached",
        ),
        (
            {"pods": [waiting("CreateContainerConfigError", 'secret "tandem-redis" not found')]},
            "pod p can't be made",
            "tandem-redis",
        ),
        (
            {"events": [event('pods "x" is forbidden: exceeded quota: tandem')]},
            "quota is used up",
            "upgrade",
        ),
        (
            {"events": [event("Readiness probe failed: wget: not found", "Unhealthy")]},
            "no wget",
            "KubeRay asks",
        ),
        ({"service": service()}, "no operator looks after", "KubeRay isn't installed"),
        (
            {"service": service(conditions=[{"reason": "ValidationFailed", "message": "bad name"}])},
            "the operator refuses",
            "bad name",
        ),
        ({"service": deploying(WAITS)}, "application 'm' finds no room", '"GPU": 1.0'),
        (
            {"service": deploying("1 replicas that have taken more than 30s to initialize.")},
            "takes long to start",
            "more than 30 s",
        ),
        (
            {
                "service": deploying(
                    "The deployment failed: x\nConfigError: no file at /m", "DEPLOY_FAILED"
                )
            },
            "of application 'm' fails",
            "ConfigError: no file at /m",
        ),
        ({"service": deploying("worker died: OutOfMemoryError")}, "ran out of memory", "more memory"),
        (
            {
                "service": service(
                    activeServiceStatus=apps(tandem=RUNNING),
                    pendingServiceStatus={"rayClusterName": "new"},
                ),
                "clusters": [
                    CLUSTER,
                    {"metadata": {"name": "new", "creationTimestamp": "2026-11-25T08:00:00Z"}},
                ],
            },
            "new gets ready to take over from tandem-abc",
            "since 2026-11-25",
        ),
    ],
)
def test_a_cause_is_found(known: Json, what: str, also: str) -> None:
    snapshot = Snapshot("tandem", "ns", **{"service": READY, "clusters": [CLUSTER], **known})
    (cause, *_) = diagnose(snapshot)
    assert what in cause.what
    assert also in str(cause)


def test_a_service_that_is_ready() -> None:
    snapshot = Snapshot("tandem", "ns", service=READY, clusters=[CLUSTER], pods=[pod()])
    assert diagnose(snapshot) == []
    assert report(snapshot, []) == "tandem is ready"


def test_the_root_comes_first() -> None:
    """An image that can't be pulled is why the application waits, and why the upgrade does."""
    status = service(
        activeServiceStatus=apps(tandem=RUNNING),
        pendingServiceStatus={
            **deploying(WAITS)["status"]["activeServiceStatus"],
            "rayClusterName": "new",
        },
    )
    snapshot = Snapshot(
        "tandem", "ns", service=status, clusters=[CLUSTER], pods=[waiting("ImagePullBackOff"), pod("q")]
    )
    causes = diagnose(snapshot)
    assert ["can't be pulled" in causes[0].what, "no room" in causes[1].what] == [True, True]
    assert "take over" in causes[-1].what
    printed = report(snapshot, causes)
    assert printed.startswith(
        "tandem serves, and its upgrade can't go on: image tandem:9 can't be pulled"
    )
    assert "also, and perhaps because of it:" in printed


def test_modes_that_differ() -> None:
    def group(**env: str) -> Json:
        variables = [{"name": name, "value": value} for name, value in env.items()]
        return {"template": {"spec": {"containers": [{"env": variables}]}}}

    found = service(activeServiceStatus=apps(tandem=RUNNING))
    found["spec"]["rayClusterConfig"] = {
        "headGroupSpec": group(RAY_SERVE_ENABLE_HA_PROXY="1"),
        "workerGroupSpecs": [group()],
    }
    (cause,) = diagnose(Snapshot("tandem", "ns", service=found, clusters=[CLUSTER]))
    assert "RAY_SERVE_ENABLE_HA_PROXY differs" in cause.what


def test_a_worker_without_a_replica_is_no_cause() -> None:
    idle = pod(conditions=[{"type": "Ready", "status": "False"}])
    snapshot = Snapshot("tandem", "ns", service=READY, clusters=[CLUSTER], pods=[idle])
    assert diagnose(snapshot) == []


def test_models_that_the_router_knows() -> None:
    serve = {"applications": {"tandem": {"status": "RUNNING", "deployments": {}}}}
    index = [{"name": "a", "state": "READY"}, {"name": "b", "state": "UNAVAILABLE", "reason": "no file"}]
    (cause,) = diagnose(Snapshot("Serve", ray={"serve": serve, "index": index}))
    assert (cause.what, cause.evidence) == ("model 'b' isn't ready", "no file")
    resting = [{"name": "c", "state": "UNAVAILABLE", "reason": NOT_HERE}]  # with maxLoadedModels
    assert diagnose(Snapshot("Serve", ray={"serve": serve, "index": index[:1] + resting})) == []
    coming = [{"name": "a", "state": "LOADING", "reason": "fetching 1.2 of 4.0 GB"}]  # beside the one
    assert diagnose(Snapshot("Serve", ray={"serve": serve, "index": index[:1] + coming})) == []
    (cause,) = diagnose(Snapshot("Serve", ray={"serve": serve, "http": "answers 404"}))
    assert "HTTP doesn't answer" in cause.what
    other = {"serve": serve, "mismatch": "the cluster runs Ray 2.59.0, this Tandem is locked to 2.60.0"}
    (cause,) = diagnose(Snapshot("Serve", ray=other))
    assert "two versions of Ray" in cause.what
    (cause,) = diagnose(Snapshot("Serve", ray={"serve": {"applications": {}}}))
    assert cause.what == "Serve has no application"


def told(**changes: Any) -> Json:
    """What a Ray says of which every application runs, and its Routers of the last change."""
    rows = [
        {"name": "m", "version": "1", "state": "READY", "reason": ""},
        {"name": "m", "version": "3", "state": "UNAVAILABLE", "reason": "a change was refused: no file"},
    ]
    running = {"tandem": {"status": "RUNNING"}}
    return {"serve": {"applications": running}, "index": rows, "changes": changes}


def of_router(refused: str = "", **models: str) -> Json:
    return {"refused": refused, "models": {"m": "", "n": "", **models}}


def test_a_refused_change_of_a_model_that_serves() -> None:
    snapshot = Snapshot("Serve", ray=told(a=of_router(m="no file")))
    (cause,) = causes = diagnose(snapshot)
    assert cause.what == "a change of model 'm' is refused"
    assert cause.evidence == "no file"
    said = report(snapshot, causes)
    assert said.startswith("Serve serves, but not what was last asked for: a change of model 'm'")
    assert "tandem deploy" in cause.next


def test_a_change_that_one_of_two_routers_refuses() -> None:
    (cause,) = diagnose(Snapshot("Serve", ray=told(a=of_router(), b=of_router(m="no file"))))
    assert cause.evidence == "no file\non 1 of 2 Routers"


def test_a_refused_user_config_is_one_cause_and_not_one_of_every_model() -> None:
    whole = "user_config.limitz: unknown key"
    (cause,) = diagnose(Snapshot("Serve", ray=told(a=of_router(whole, m=whole, n=whole))))
    assert (cause.what, cause.evidence) == ("the Router's user_config is refused", whole)


def test_a_model_that_never_loaded_isnt_ready_and_not_also_refused() -> None:
    ray = told(a=of_router(n="no file"))
    ray["index"] = [{"name": "n", "version": "", "state": "UNAVAILABLE", "reason": "no file"}]
    snapshot = Snapshot("Serve", ray=ray)
    (cause,) = causes = diagnose(snapshot)
    assert cause.what == "model 'n' isn't ready"
    assert report(snapshot, causes).startswith("Serve serves, but not all of it is ready: model 'n'")


def test_an_application_that_failed_to_change_is_one_cause() -> None:
    ray = told(a=of_router(m="its application is DEPLOY_FAILED: no file"))
    ray["serve"]["applications"]["m"] = {"status": "DEPLOY_FAILED", "message": "no file"}
    (cause,) = diagnose(Snapshot("Serve", ray=ray))
    assert cause.what == "the change of application 'm' is refused"
    assert cause.evidence == "no file"


def test_nothing_was_refused() -> None:
    ray = told(a=of_router(), b=of_router())
    ray["index"] = ray["index"][:1]
    assert diagnose(Snapshot("Serve", ray=ray)) == []
