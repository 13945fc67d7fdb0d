from typing import Any

import pytest
from ray.serve.schema import (
    APIType,
    ApplicationDetails,
    ApplicationStatus,
    DeploymentDetails,
    DeploymentSchema,
    DeploymentStatus,
    DeploymentStatusTrigger,
    ReplicaDetails,
    ReplicaState,
    ServeApplicationSchema,
    ServeInstanceDetails,
)

from serve_app.releases.applications import (
    RemoteApp,
    cause,
    changing,
    remote_apps,
    routers,
    runs,
    said,
)

RUNNING = ReplicaState.RUNNING


def deployment(name: str, *states: ReplicaState, message: str = "", dead: int = 0) -> DeploymentDetails:
    """One with replicas in these states."""
    replicas = [
        ReplicaDetails(replica_id=str(number), state=state, start_time_s=1)
        for number, state in enumerate([*states, *[ReplicaState.STOPPING] * dead])
    ]
    return DeploymentDetails(
        name=name,
        status=DeploymentStatus.HEALTHY,
        status_trigger=DeploymentStatusTrigger.UNSPECIFIED,
        message=message,
        deployment_config=DeploymentSchema(name=name),
        target_num_replicas=len(states),
        required_resources={},
        replicas=replicas[: len(states)],
        recent_dead_replicas=replicas[len(states) :],
    )


def app(
    *deployments: DeploymentDetails,
    status: ApplicationStatus = ApplicationStatus.RUNNING,
    message: str = "",
    at: float = 5,
) -> dict[str, Any]:
    """An application's details, all but its name."""
    held = {each.name: each for each in deployments}
    return {"deployments": held, "status": status, "message": message, "last_deployed_time_s": at}


def details(**apps: dict[str, Any]) -> dict[str, Any]:
    """What Serve's controller gives for these applications."""
    made = {
        name: ApplicationDetails(
            name=name, route_prefix=None, docs_path=None, source=APIType.DECLARATIVE,
            external_scaler_enabled=False, **about,
        )
        for name, about in apps.items()
    }  # fmt: skip
    instance = ServeInstanceDetails(proxies={}, applications=made)
    given = instance._get_user_facing_json_serializable_dict(exclude_unset=True)
    return given["applications"]  # type: ignore[no-any-return]


def found(**apps: dict[str, Any]) -> dict[str, RemoteApp]:
    """What is read from them."""
    return remote_apps(details(**apps))


def one(*deployments: DeploymentDetails, **about: Any) -> RemoteApp:
    """The only application."""
    (single,) = found(m=app(*deployments, **about)).values()
    return single


def test_a_model():
    assert one(deployment("ModelReplica", RUNNING), at=12.5) == RemoteApp(
        "m", "ModelReplica", ApplicationStatus.RUNNING, "", running=1, stamp=12.5, model="m"
    )


def test_its_replicas_that_run_by_name():
    model = deployment("ModelReplica", RUNNING, ReplicaState.STARTING, RUNNING)
    assert one(model).replicas == {"0", "2"}


def test_whether_serve_is_about_to_change_an_application():
    assert changing(app(status=ApplicationStatus.DEPLOYING))
    assert changing({"status": "DEPLOYING"})
    assert not changing(app())
    assert not changing({})


@pytest.mark.parametrize(
    ("states", "answers"), [([RUNNING], True), ([], False), ([ReplicaState.STARTING], False),
                            ([ReplicaState.STOPPING, RUNNING], True)]
)  # fmt: skip
def test_whether_something_of_an_application_answers(states, answers):
    read = details(tandem=app(deployment("Router", *states)))["tandem"]
    assert runs(read) is answers
    assert not runs({})


def test_an_application_says_of_which_model_its_versions_are():
    about = app(deployment("ModelReplica", RUNNING))
    about["deployed_app_config"] = ServeApplicationSchema(
        name="m-next", import_path="serve_app.app:build_model", args={"model": "m", "versions": ["2", 3]}
    )
    read = found(**{"m-next": about})["m-next"]
    assert (read.model, read.versions) == ("m", ("2", "3"))


def test_a_model_behind_its_tokenizer():
    model, tokenizer = deployment("ModelReplica", RUNNING), deployment("Tokenizer", RUNNING, RUNNING)
    for order in ([model, tokenizer], [tokenizer, model]):
        assert (one(*order).ingress, one(*order).running) == ("Tokenizer", 1)


def test_other_applications_are_left_out():
    apps = found(
        tandem=app(deployment("Router", RUNNING)),
        other=app(deployment("Tokenizer", RUNNING)),
        a=app(deployment("ModelReplica", RUNNING)),
        b=app(deployment("ModelReplica", RUNNING), deployment("Extra", RUNNING)),
    )
    assert list(apps) == ["a", "b"]
    assert found() == {}


def test_what_is_being_deleted_is_left_out():
    for deployments in ([], [deployment("ModelReplica", RUNNING)]):
        assert found(m=app(*deployments, status=ApplicationStatus.DELETING)) == {}


@pytest.mark.parametrize("status", [ApplicationStatus.DEPLOYING, ApplicationStatus.DEPLOY_FAILED])
def test_what_serve_still_builds_may_be_a_model(status):
    still = one(status=status, message="no module 'x'")
    assert (still.ingress, still.running, still.settled) == ("", 0, False)
    assert still.message == "no module 'x'"
    assert still.failed == (status == ApplicationStatus.DEPLOY_FAILED)


def test_only_running_replicas_of_the_model_count():
    states = [state for state in ReplicaState if state != RUNNING]
    model = deployment("ModelReplica", *states, RUNNING, RUNNING, dead=3)
    assert one(model, deployment("Tokenizer", RUNNING)).running == 2
    assert one(deployment("ModelReplica", *states)).running == 0
    assert one(deployment("ModelReplica")).running == 0


@pytest.mark.parametrize("running", [0, 1])
@pytest.mark.parametrize("status", [each for each in ApplicationStatus if each.value != "DELETING"])
def test_what_a_status_means(status, running):
    read = one(deployment("ModelReplica", *[RUNNING] * running), status=status)
    assert read.settled == (status == ApplicationStatus.RUNNING)
    assert read.failed == (status == ApplicationStatus.DEPLOY_FAILED and not running)
    assert read.down == (status == ApplicationStatus.UNHEALTHY and not running)


TRACEBACK = """The deployment failed to start 3 times in a row. See controller logs for details. Error:
ray::ServeReplica:m:ModelReplica.initialize_and_get_metadata() (pid=1, ip=127.0.0.1)
  File "replica.py", line 1, in initialize
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: Traceback (most recent call last):
  File "host.py", line 2, in load
serve_app.errors.ConfigError: model 'm': .models/m has no version

"""


def test_the_cause_of_a_failure():
    assert cause(TRACEBACK) == "model 'm': .models/m has no version"
    assert cause("serve_app.errors.ModelFailed: no") == "ModelFailed: no"
    assert cause("OutOfMemory: 3 GB\n  \n") == "OutOfMemory: 3 GB"
    assert cause("") == ""
    assert cause(" \n") == ""


def test_the_replicas_message_comes_before_the_applications():
    told = deployment("ModelReplica", message=TRACEBACK)
    assert one(told, message="'ModelReplica' is unhealthy").message.startswith("model 'm': ")
    assert one(deployment("ModelReplica"), message="The application\nfailed").message == "failed"
    assert one(deployment("ModelReplica"), deployment("Tokenizer", message="no")).message == ""


def test_a_deploy_changes_the_stamp_alone():
    before, after = (one(deployment("ModelReplica", RUNNING), at=at) for at in (1.0, 2.0))
    assert before != after
    assert before == one(deployment("ModelReplica", RUNNING), at=1.0)


def test_who_takes_requests():
    states = ("RUNNING", "STARTING", "UPDATING", "STOPPING", "RECOVERING")
    replicas = [{"replica_id": state.lower(), "state": state} for state in states]
    application = {"deployments": {"Router": {"replicas": replicas}, "Steward": {"replicas": replicas}}}
    assert routers(application) == {"running", "updating", "recovering"}
    assert routers({}) == routers({"deployments": {}}) == set()


def test_what_configures_models_by_their_applications():
    def application(args):
        replica = {"replicas": [], "message": ""}
        return {
            "status": "RUNNING", "message": "", "last_deployed_time_s": 1.0,
            "deployments": {"ModelReplica": replica}, "deployed_app_config": {"args": args},
        }  # fmt: skip

    one = said({"a": application({"x": 1}), "b": application({"model": "a"}), "c": application({})})
    assert {model: set(apps) for model, apps in one.items()} == {"a": {"a", "b"}, "c": {"c"}}
    assert said({"a": application({"x": 2})})["a"]["a"] != one["a"]["a"]
    assert said({"a": application({"x": 1})})["a"]["a"] == one["a"]["a"]
